"""What a finished job gives: the part that is asked for, assembled from tiles, as bytes."""
