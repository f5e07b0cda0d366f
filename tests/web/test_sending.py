"""Requests that are sent from the page: once, and again where that is wanted."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Page, Route, expect

from tests.service.room.serving import Served

from .files import give
from .waiting import WAIT_MS, ended

PageOf = Callable[..., Page]
DENSE = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}


def begun(page: Page, seed: int) -> None:
    """A request that can be sent."""
    page.get_by_label("architecture as JSON").fill(json.dumps(DENSE))
    give(page, "x1", np.random.default_rng(seed).standard_normal((20, 5)))
    expect(page.get_by_role("button", name="Compute", exact=True)).to_be_enabled()


def test_a_lost_answer_makes_no_second_job(served: Served, page_of: PageOf) -> None:
    page = page_of(served.url)
    begun(page, 11)
    made: list[str] = []

    def lose(route: Route) -> None:
        made.append(route.fetch().json()["id"])
        route.abort()

    page.route("**/v1/kernels", lose, times=1)
    page.get_by_role("button", name="Compute", exact=True).click()
    expect(page.locator(".estimate")).to_contain_text("cannot be reached")
    page.get_by_role("button", name="Compute", exact=True).click()
    ended(page)
    assert made == [page.url.rpartition("/")[2]]
    # The same request, sent once more, is another job.
    page.get_by_role("link", name="Compute", exact=True).click()
    page.get_by_role("button", name="Compute", exact=True).click()
    ended(page)
    assert made != [page.url.rpartition("/")[2]]


def test_while_one_request_is_sent_no_other_is(served: Served, page_of: PageOf) -> None:
    page = page_of(served.url)
    begun(page, 12)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/kernels", hold)
    with page.expect_request("**/v1/kernels"):
        page.get_by_role("button", name="Compute", exact=True).click()
    sending = page.get_by_role("button", name="Sending…")
    with page.expect_response("**/v1/estimates"):
        page.get_by_label("float64").check()
    expect(page.locator(".estimate")).not_to_have_attribute("aria-busy", "true")
    expect(sending).to_be_disabled()
    # Whoever looks at something else by now goes on looking at it.
    page.get_by_role("link", name="Predict", exact=True).click()
    with page.expect_response("**/v1/kernels") as answer:
        held[0].continue_()
    job = answer.value.json()["id"]
    page.get_by_role("link", name="Compute", exact=True).click()
    expect(page.get_by_role("button", name="Compute", exact=True)).to_be_enabled()
    assert page.url.endswith("#/")
    assert httpx.get(f"{served.url}/v1/kernels/{job}").is_success


def test_a_dataset_that_is_gone_is_uploaded_again(
    served: Served, page_of: PageOf, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.eye(2400, 1000, dtype=np.float32))
    page = page_of(served.url)
    page.get_by_label("architecture as JSON").fill(json.dumps(DENSE))
    page.set_input_files("input#x1", tmp_path / "x.npy")
    upload = page.get_by_role("button", name="Upload and estimate")
    for _ in range(2):
        with page.expect_response(lambda answer: answer.request.method == "PATCH") as sealed:
            upload.click()
        expect(page.locator(".figures")).to_contain_text("2400 × 2400", timeout=WAIT_MS)
        httpx.delete(f"{served.url}{sealed.value.json()['links']['self']}").raise_for_status()
        page.get_by_role("button", name="Compute", exact=True).click()
        expect(page.locator(".estimate")).to_contain_text("no dataset")
    expect(upload).to_be_enabled()
