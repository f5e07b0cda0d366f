"""Python's search for garbage, left out while a process imports what it needs."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def no_collections() -> Generator[None, None, None]:
    """Inside, Python does not look for garbage, and what was made there it never looks through again.

    Imports make hundreds of thousands of objects, which live as long as the process. To look through
    them again and again takes a sixth of a start, and later a tenth of a second now and then.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
