"""A live service with a real worker, and Chromium on its page."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.service.room.serving import PATIENCE_S, Served

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Five seconds are the default, which two cores with other work to do may need for a first page.
expect.set_options(timeout=30_000)


@contextmanager
def serving(root: Path, data_dir: Path) -> Iterator[Served]:
    """`python -m service serve` with one worker, ended when the block ends."""
    environ = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "TILES_URL")}
    environ["GRAMD_LOG_LEVEL"] = "ERROR"
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--workers", "1"]
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE, text=True, env=environ, cwd=root,
    ) as process:  # fmt: skip
        try:
            yield Served(process)
            process.terminate()
            process.wait(PATIENCE_S)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program, where there is one."""
    binary = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if binary is None:
        pytest.skip(f"needs one of {', '.join(CHROMIUM)} on PATH (apt-get install chromium)")
    return binary


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Headless Chromium. Of one module: Playwright has an event loop of its own, beside which tests
    elsewhere could not have theirs."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def served(chromium: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of all tests of the page; without a browser it is not started."""
    with serving(root, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def page_of(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a fresh profile; the test fails if a script does, or if the page breaks
    its own Content-Security-Policy."""
    contexts = []
    wrong: list[str] = []

    def one(address: str, **settings: object) -> Page:
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda message: (
                wrong.append(message.text)
                if message.type == "error" and "Failed to load resource" not in message.text
                else None
            ),
        )
        page.goto(address)
        return page

    yield one
    for context in contexts:
        context.close()
    assert wrong == []
