"""What a finished job gives: the part that is asked for, assembled from tiles, as bytes.

available.py    whether it can be sent
windows.py      rows and columns in the caller's order, run by run
reading.py      tiles read ahead, and once where there is room
content.py      the bytes of a `.npy`, and which rows a range of them touches
zarr_layout.py  the same as a Zarr group
"""
