"""Files as the page is given them."""

import io

import numpy as np
from playwright.sync_api import Page


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def give(page: Page, name: str, array: np.ndarray) -> None:
    """Choose a file for one of the arrays."""
    file = {"name": f"{name}.npy", "mimeType": "application/x-npy", "buffer": npy(array)}
    page.set_input_files(f"input#{name}", file)
