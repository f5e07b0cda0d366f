"""Pictures of the web page for the documents: `make screenshots` writes them to docs/images.

A service is started, the page is used as a newcomer would use it, with its own sample data, and
what is to be seen is written down, light and dark.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.service import running

IMAGES = Path(__file__).resolve().parent / "images"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1200, 1060
PATIENCE_MS = 120_000


def main() -> None:
    """Write all pictures."""
    binary = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if binary is None:
        raise SystemExit(f"expected one of {', '.join(CHROMIUM)} on PATH")
    with (
        tempfile.TemporaryDirectory() as data_dir,
        running(Path(data_dir), [None]) as service,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=binary, args=["--no-sandbox", "--disable-gpu"]
        )
        compute(opened(browser, service.url, "light"))
        predict(opened(browser, f"{service.url}/#/predict", "dark"))
        browser.close()


def opened(browser: Browser, address: str, scheme: Literal["light", "dark"]) -> Page:
    """The page in its own profile, in one of its two colour schemes."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, locale="en-GB"
    )
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#verdict")).to_contain_text("Valid")
    return page


def finished(page: Page) -> None:
    """Waits for the job or prediction that was just sent."""
    expect(page.locator("h1 + .pill")).to_have_text("succeeded", timeout=PATIENCE_MS)


def picture(page: Page, name: str) -> None:
    """The upper part of the page, without cursor and focus."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=IMAGES / f"page-{name}.png", animations="disabled")


def compute(page: Page) -> None:
    """A network being written, and the kernel that comes of it."""
    page.get_by_label("Start from").select_option(label="Transformer blocks")
    expect(page.locator("#verdict")).to_contain_text("Valid")
    picture(page, "network")
    page.locator("#sample-rows").fill("200")
    page.get_by_role("button", name="Use sample data").click()
    expect(page.locator(".figures")).to_contain_text("200 × 200", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Compute", exact=True).click()
    finished(page)
    page.wait_for_selector("canvas[data-ready=true]")
    page.wait_for_selector(".results .figuretable", timeout=PATIENCE_MS)
    picture(page, "kernel")


def predict(page: Page) -> None:
    """Mean and spread of a Gaussian process."""
    page.get_by_role("button", name="Use sample data").click()
    expect(page.locator(".estimate table")).to_contain_text("64 × 64", timeout=PATIENCE_MS)
    page.locator("main").get_by_role("button", name="Predict", exact=True).click()
    finished(page)
    page.wait_for_selector(".chart .band")
    picture(page, "prediction")


if __name__ == "__main__":
    main()
