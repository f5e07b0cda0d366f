"""Arrays on their way in: what is refused, what is cast, what a mask hides."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.compatible import check_job
from kernels.errors import InputError, SpecError
from kernels.inputs import joined, read_inputs
from kernels.matrix import kernel_matrix, memory_needed

GOOD = np.ones((2, 3, 4))
MASK = np.ones((2, 3), bool)
NAN_AT_REAL = np.where(np.arange(24).reshape(2, 3, 4) == 7, np.nan, 1.0)
DENSE: dict[str, Any] = {"type": "dense"}
POOL: dict[str, Any] = {"type": "global_avg_pool"}
FLATTEN: dict[str, Any] = {"type": "flatten"}


def boxed(items: list[Any]) -> np.ndarray:
    """One axis of Python objects, as a column of a data frame has them."""
    array = np.empty(len(items), object)
    array[:] = items
    return array


REFUSED: dict[str, tuple[Any, Any, str, str]] = {
    "scalar": (1.0, None, "/x1", "shape"),
    "one_axis": (np.ones(3), None, "/x1", "shape"),
    "six_axes": (np.ones((1,) * 6), None, "/x1", "shape"),
    "empty_batch": (np.ones((0, 3)), None, "/x1", "size 0"),
    "no_positions": (np.ones((2, 0, 3)), None, "/x1", "size 0"),
    "no_channels": (np.ones((2, 3, 0)), None, "/x1", "size 0"),
    "ragged": ([[1.0, 2.0], [3.0]], None, "/x1", "rectangular.*pad.*mask"),
    "arrays_as_objects": (boxed([GOOD[0], GOOD[1, :2]]), None, "/x1", "rectangular.*pad.*mask"),
    "text": ([["a", "b"]], None, "/x1", "dtype"),
    "complex": (np.ones((2, 3), complex), None, "/x1", "dtype"),
    "object": (np.array([[None, 1]], object), None, "/x1", "dtype"),
    "dates": (np.zeros((2, 3), "datetime64[s]"), None, "/x1", "dtype"),
    "nan": (NAN_AT_REAL, None, "/x1", "nan"),
    "nan_at_a_real_position": (NAN_AT_REAL, MASK, "/x1", "nan"),
    "infinite": (GOOD * np.inf, None, "/x1", "inf"),
    "too_large_for_float32": (GOOD * 1e39, None, "/x1", "float32"),
    "ragged_mask": (GOOD, [[True], [True, False]], "/mask1", "rectangular"),
    "mask_of_numbers": (GOOD, MASK.astype(int), "/mask1", "boolean"),
    "mask_of_another_shape": (GOOD, MASK[:, :2], "/mask1", "shape"),
    "mask_with_channels": (GOOD, np.ones((2, 3, 4), bool), "/mask1", "shape"),
    "mask_on_vectors": (np.ones((2, 3)), np.ones((2,), bool), "/mask1", "vectors"),
    "nothing_real": (GOOD, np.array([[True] * 3, [False] * 3]), "/mask1", "row 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_pointer(case: str) -> None:
    x, mask, pointer, words = REFUSED[case]
    with pytest.raises(InputError, match=words) as caught:
        read_inputs(x, mask)
    assert caught.value.pointer == pointer


def test_the_second_side_has_its_own_pointers() -> None:
    with pytest.raises(InputError) as caught:
        read_inputs(GOOD, MASK[:1], name="x2")
    assert caught.value.pointer == "/mask2"


@pytest.mark.parametrize("dtype", ["float16", "f8", None, np.int32, object()])
def test_unknown_dtype(dtype: Any) -> None:
    with pytest.raises(InputError, match="float32") as caught:
        read_inputs(GOOD, dtype=dtype)
    assert caught.value.pointer == "/dtype"


def test_numpys_dtype_and_a_single_output_are_taken() -> None:
    network = {"layers": [DENSE, POOL]}
    found = kernel_matrix(network, GOOD, outputs="nngp", dtype=np.float64)
    expected = kernel_matrix(network, GOOD, outputs=("nngp",), dtype="float64")
    assert list(found) == ["nngp"]
    np.testing.assert_array_equal(found["nngp"], expected["nngp"], strict=True)
    needed = memory_needed(network, GOOD, outputs="nngp", dtype=np.float64)
    assert needed == memory_needed(network, GOOD, outputs=("nngp",), dtype="float64")


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad])
def test_kernels_are_not_computed_inside_of_jax(transform: Callable[..., Any]) -> None:
    def total(x: Any) -> Any:
        return kernel_matrix({"layers": [DENSE]}, x)["nngp"].sum()

    with pytest.raises(
        InputError, match=r"outside of its transformations.*differentiated"
    ) as caught:
        transform(total)(np.ones((2, 3, 4), np.float32))
    assert caught.value.pointer == "/x1"


@pytest.mark.parametrize("dtype", ["int8", "uint64", "bool", "float16", "float32", ">f8"])
@pytest.mark.parametrize("target", ["float32", "float64"])
def test_real_dtypes_are_cast(dtype: str, target: str) -> None:
    inputs = read_inputs(GOOD.astype(dtype), dtype=target)
    assert inputs.x.dtype == np.dtype(target)
    assert inputs.x.flags.c_contiguous
    np.testing.assert_array_equal(inputs.x, GOOD)


def test_the_callers_array_is_left_alone() -> None:
    x = np.array(GOOD, np.float32)
    read_inputs(x, np.array([[True, False, True], [True, True, False]]))
    np.testing.assert_array_equal(x, GOOD)


def test_what_a_mask_hides_is_zero_whatever_it_was() -> None:
    mask = np.array([[True, False, True], [True, True, False]])
    one, other = GOOD.copy(), GOOD.copy()
    one[~mask], other[~mask] = np.nan, 1e300
    assert (read_inputs(one, mask).x[~mask] == 0).all()
    assert read_inputs(one, mask).digest() == read_inputs(other, mask).digest()


def test_a_mask_that_hides_nothing_is_none() -> None:
    assert read_inputs(GOOD, MASK).mask is None
    assert read_inputs(GOOD, MASK).digest() == read_inputs(GOOD).digest()


def test_digest_sees_content_shape_dtype_and_mask() -> None:
    mask = np.array([[True, False, True], [True, True, False]])
    zeroed = np.where(mask[..., None], GOOD, 0)
    variants = [
        read_inputs(GOOD),
        read_inputs(GOOD + 1),
        read_inputs(GOOD.reshape(2, 4, 3)),
        read_inputs(GOOD.reshape(2, 12)),
        read_inputs(GOOD, dtype="float64"),
        read_inputs(GOOD, mask),
        read_inputs(zeroed),
    ]
    assert len({inputs.digest() for inputs in variants}) == len(variants)


def test_take_cuts_rows_and_positions() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    mask = np.array([[True, False, False], [False, True, False]])
    taken = read_inputs(x, mask).take([1, 0, 1], (2,))
    assert taken.x.shape == (3, 2, 4)
    assert taken.x.flags.c_contiguous
    np.testing.assert_array_equal(taken.mask, mask[[1, 0, 1], :2])
    np.testing.assert_array_equal(taken.x[1], x[0, :2] * mask[0, :2, None])


def test_lengths_end_with_the_last_real_position() -> None:
    mask = np.array([[True, False, False], [False, True, False]])
    np.testing.assert_array_equal(read_inputs(GOOD, mask).lengths, [1, 2])
    np.testing.assert_array_equal(read_inputs(GOOD).lengths, [3, 3])


@pytest.mark.parametrize(
    ("layers", "shape1", "shape2"),
    [
        ([DENSE], (2, 3), (2, 4)),
        ([DENSE, POOL], (2, 5, 3), (2, 5, 4)),
        ([DENSE, FLATTEN], (2, 5, 3), (2, 6, 3)),
        ([{"type": "conv", "window": [3], "strides": [2]}, POOL], (2, 5, 3), (2, 6, 3)),
        ([DENSE, FLATTEN], (2, 5, 3), (2, 3)),
    ],
)
def test_sides_that_do_not_fit_each_other(
    layers: list[dict[str, Any]], shape1: tuple[int, ...], shape2: tuple[int, ...]
) -> None:
    network = parse_architecture({"layers": layers})
    with pytest.raises((InputError, SpecError)) as caught:
        check_job(network, read_inputs(np.ones(shape1)), read_inputs(np.ones(shape2), name="x2"))
    assert caught.value.pointer == "/x2"


@pytest.mark.parametrize("front_door", [kernel_matrix, memory_needed])
def test_the_second_sides_mask_needs_the_second_side(front_door: Callable[..., object]) -> None:
    with pytest.raises(InputError) as caught:
        front_door({"layers": [DENSE, POOL]}, GOOD, mask2=MASK)
    assert caught.value.pointer == "/mask2"


@pytest.mark.parametrize("front_door", [kernel_matrix, memory_needed])
@pytest.mark.parametrize("outputs", [[], ["nngp", "ntk2"], ["k"], "k"])
def test_unknown_outputs(outputs: list[str] | str, front_door: Callable[..., object]) -> None:
    with pytest.raises(InputError) as caught:
        front_door({"layers": [DENSE, POOL]}, GOOD, outputs=outputs)
    assert caught.value.pointer == "/outputs"


def test_sides_of_two_grids_are_joined_on_the_larger() -> None:
    short, long = read_inputs(GOOD), read_inputs(np.full((1, 5, 4), 2.0))
    both = joined([short.padded((5,)), long.padded((5,))])
    np.testing.assert_array_equal(both.x[:2, :3], GOOD)
    np.testing.assert_array_equal(both.x[:2, 3:], 0)
    np.testing.assert_array_equal(both.x[2], 2)
    np.testing.assert_array_equal(both.mask, [[True] * 3 + [False] * 2] * 2 + [[True] * 5])
    assert joined([short, short]).mask is None
