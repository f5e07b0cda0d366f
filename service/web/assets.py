"""The files of the web page, read once: what is served is this table, never a path of a request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = "index.html"
MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file: its bytes, its media type and the strong ETag of the bytes."""

    content: bytes
    media: str
    etag: str


def read_assets(folder: Path) -> dict[str, Asset]:
    """The files below a folder by their path in it, those that a browser loads."""
    assets: dict[str, Asset] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in MEDIA:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:32]
            assets[path.relative_to(folder).as_posix()] = Asset(
                content, MEDIA[path.suffix], f'"{digest}"'
            )
    return assets


ASSETS: Final = read_assets(Path(__file__).parent)
