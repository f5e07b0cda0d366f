"""A hook of mkdocs.yml: documents at the top of the project become pages, without a copy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

TOP = Path(__file__).resolve().parent.parent
DOCUMENTS = ("SECURITY.md", "CHANGELOG.md")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """They are read where they are."""
    for name in DOCUMENTS:
        files.append(File.generated(config, name, abs_src_path=str(TOP / name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """On the site they stand beside the pages of docs/, and no longer one folder up."""
    return re.sub(rf"\]\(\.\./({'|'.join(map(re.escape, DOCUMENTS))})", r"](\1", markdown)
