"""Waiting for what the page follows."""

from playwright.sync_api import Page, expect

WAIT_MS = 60_000


def ended(page: Page, state: str = "succeeded") -> None:
    """Wait until what is followed has ended. The page is watched for it: `expect` looks again after
    growing pauses of up to a second."""
    pill = page.locator("h1 + .pill")
    page.locator(f"h1 + .pill.{state}").wait_for(timeout=WAIT_MS)
    expect(pill).to_have_text(state)
