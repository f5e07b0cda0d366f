"""The asynchronous client, from the synchronous one: they differ by `async` and `await` alone."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "gramd"
FILES = {"client.py": "async_client.py", "resources.py": "async_resources.py"}
CLASSES = ("Client", "Connection", "Datasets", "Jobs", "KernelJobs", "PredictionJobs")

_WORDS = {
    r"with Client\(\) as": "async with AsyncClient() as",
    r"kernel = client\.kernel\(": "kernel = await client.kernel(",
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    r"gramd\.resources": "gramd.async_resources",
    r"(?<=    )def (?!__init__|__repr__)": "async def ",
    r"self\._connection\.(?=run|close)": "await self._connection.",
    r"(?<=        )self\.close\(\)": "await self.close()",
    "Threads may share a client.": "Tasks of one event loop may share a client.",
    rf"(?<![\w`.])({'|'.join(CLASSES)})(?=[\[(),:\n ])(?! jobs| of)": r"Async\1",
}
_HEAD = "# Made from {source}; change that, then run: {command}\n"


def pages(command: str) -> dict[Path, str]:
    """The text of each asynchronous file."""
    return {
        PACKAGE / target: _HEAD.format(source=source, command=command)
        + _translated((PACKAGE / source).read_text(), source)
        for source, target in FILES.items()
    }


def _translated(text: str, source: str) -> str:
    head, _, rest = text.partition("from __future__")
    name = "The client" if source == "client.py" else "`client.datasets` and the jobs"
    text = f'"""{name} for asyncio."""\n\nfrom __future__{rest}'
    assert head.startswith('"""'), f"{source} starts with its docstring"
    for pattern, replacement in _WORDS.items():
        text = re.sub(pattern, replacement, text)
    return text
