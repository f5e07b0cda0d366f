"""Arrays on the wire: what numpy writes is read, what lies is refused, what is written reads
back."""

import contextlib
import io
import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.http.arrays import MAX_HEADER_BYTES, json_elements, npy_header, read_list, read_npy
from service.http.problems import InvalidRequest


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def with_header(text: str, data: bytes = b"") -> bytes:
    header = text.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


REAL = st.sampled_from(
    ["?", "i1", "u1", "<i2", ">i2", "<u4", ">i8", "<f2", "<f4", ">f4", "<f8", ">f8"]
)


@given(data=st.data(), dtype=REAL, fortran=st.booleans(), version=st.sampled_from([(1, 0), (2, 0)]))
def test_what_numpy_saves_is_read_bit_for_bit(data, dtype, fortran, version):
    array = data.draw(
        hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
    )
    if fortran:
        array = np.asfortranarray(array)
    read = read_npy(saved(array, version), "/x1")
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.flags.c_contiguous
    assert (
        read.tobytes()
        == np.ascontiguousarray(array).astype(array.dtype.newbyteorder("=")).tobytes()
    )


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': True, 'shape': (2,3), }",  # NPZ.jl
        "{'descr': '<f8','fortran_order': False,'shape': (2, 3)}",  # C++ writers
        '{"shape": (2, 3), "fortran_order": False, "descr": "<f8"}\n',
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L)}",  # Python 2
    ],
)
def test_headers_of_other_writers_are_read(header):
    assert read_npy(with_header(header, bytes(48)), "/x1").shape == (2, 3)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "NUMPY"),
        (b"PK\x03\x04" + bytes(50), "NUMPY"),
        (b"\x93NUMPY", "version"),
        (b"\x93NUMPY\x09\x00\x10\x00", "version"),
        (b"\x93NUMPY\x01\x00\x10", "ends inside"),
        (b"\x93NUMPY\x01\x00\xff\x00{'descr'", "ends inside"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "longer"),
        (
            with_header(
                "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n"
            ),
            "real numbers",
        ),
        (
            with_header("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }", bytes(16)),
            "real numbers",
        ),
        (
            with_header("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", bytes(16)),
            "real numbers",
        ),
        (
            with_header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }", bytes(8)),
            "real numbers",
        ),
        (
            with_header(
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", bytes(4)
            ),
            "structured",
        ),
        (
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", bytes(20)),
            "24 bytes",
        ),
        (
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", bytes(28)),
            "24 bytes",
        ),
        (
            with_header(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,), }", bytes(4)
            ),
            "4000000000",
        ),
        (
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }", bytes(4)),
            "header",
        ),
        (
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 99 + ",), }"),
            "shape",
        ),
        (
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1 2,), }", bytes(4)),
            "shape",
        ),
        (
            with_header(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", bytes(4)
            ),
            "axes",
        ),
        (with_header("{'descr': '<f4', 'fortran_order': 7, 'shape': (1,), }", bytes(4)), "header"),
        (with_header("{'descr': '<f4', 'shape': (1,), }", bytes(4)), "header"),
        (
            with_header(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", bytes(4)
            ),
            "header",
        ),
        (with_header("__import__('os').system('false')"), "header"),
        (with_header("(" * 9000), "header"),
    ],
)
def test_what_is_not_a_plain_array_is_refused(body, says):
    with pytest.raises(InvalidRequest, match=says) as caught:
        read_npy(body, "/x1")
    assert caught.value.members["pointer"] == "/x1"


def test_a_lying_header_allocates_nothing():
    body = with_header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999), }", bytes(8)
    )
    tracemalloc.start()
    with pytest.raises(InvalidRequest):
        read_npy(body, "/x1")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def read_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        read_npy(data, "/x1")


@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_are_read_or_refused(data):
    read_or_refused(b"\x93NUMPY\x01\x00" + data)


@given(st.text(alphabet="{}()[]'\" descrfotan_ohpTFule:,<f48L019", max_size=300))
def test_any_header_is_read_or_refused(text):
    read_or_refused(with_header(text, bytes(8)))


def test_a_header_as_long_as_allowed_is_read():
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
    header = text + " " * (MAX_HEADER_BYTES - len(text))
    assert read_npy(with_header(header, bytes(4)), "/x1").shape == (1,)


@given(hnp.arrays(np.dtype("<f4"), hnp.array_shapes(min_dims=2, max_dims=2)))
def test_the_header_written_is_one_that_numpy_reads(array):
    body = npy_header(array.shape, array.dtype) + array.tobytes()
    assert body == saved(array)


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=4), elements=st.floats(-1e9, 1e9)))
def test_nested_lists_are_read(array):
    assert np.array_equal(read_list(array.tolist(), "/x1"), array)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ([[1, 2], [3]], "/x1/1"),
        ([[1, 2], 3], "/x1/1"),
        ([1, [2]], "/x1/1"),
        ([[1, "2"], [3, 4]], "/x1/0/1"),
        ([[1, 2], [True, 4]], "/x1/1/0"),
        ([[[1], [2]], [[3], [None]]], "/x1/1/1/0"),
        ([[1, 2], [3, {}]], "/x1/1/1"),
        ([[[1, 2], [3, 4]], [[5, 6], [7]]], "/x1/1/1"),
        ([1, 10**400], "/x1/1"),
        ("text", "/x1"),
        ({"a": 1}, "/x1"),
        ([[[[[[[[[1]]]]]]]]], "/x1" + "/0" * 8),
    ],
)
def test_a_bad_element_is_pointed_at(value, pointer):
    with pytest.raises(InvalidRequest) as caught:
        read_list(value, "/x1")
    assert caught.value.members["pointer"] == pointer


def test_a_mask_holds_booleans_only():
    assert read_list([[True, False]], "/mask1", boolean=True).dtype == bool
    with pytest.raises(InvalidRequest) as caught:
        read_list([[True, 1]], "/mask1", boolean=True)
    assert caught.value.members["pointer"] == "/mask1/0/1"


def test_empty_lists_keep_their_shape():
    assert read_list([], "/x1").shape == (0,)
    assert read_list([[], []], "/x1").shape == (2, 0)


@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=5, max_side=4))
    ),
    st.integers(1, 30),
)
def test_json_in_pieces_of_any_size_reads_back_to_the_same_elements(array, size):
    flat = array.reshape(-1)
    pieces = [
        json_elements(flat[start : start + size], start, array.shape)
        for start in range(0, len(flat), size)
    ]
    nested = json.loads(b"[" + b",".join(pieces) + b"]")
    read = np.array(nested, dtype=object).astype(array.dtype)
    assert read.shape == array.shape
    finite = np.isfinite(array)
    assert np.array_equal(read[finite], array[finite])
    assert np.isnan(read[~finite]).all()


def test_json_numbers_are_the_shortest():
    values = np.array([0.1, 1.0, np.nan, 1e-30], np.float32)
    assert json_elements(values, 0, (2, 2)) == b"[0.1,1.0],[null,1e-30]"
