"""Jobs that are watched: rows that come while others are computed, and a service that goes away."""

import json
import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import numpy as np
from playwright.sync_api import Page, Route, expect

from tests.service.room.serving import Served, until

from .files import npy
from .waiting import WAIT_MS, ended

PageOf = Callable[..., Page]


def test_finished_rows_are_there_before_the_job_is(served: Served, page_of: PageOf) -> None:
    layers = [{"type": "dense"}, {"type": "relu"}, {"type": "attention"}, {"type": "relu"}] * 2
    request = {"architecture": {"layers": [*layers, {"type": "global_avg_pool"}]}}
    rng = np.random.default_rng(9)
    x = rng.standard_normal((2400, 12, 4))
    arrays = {"x_train": x, "y_train": x[:, 0, 0], "x_test": x[:10] + 1.0}
    answer = httpx.post(
        f"{served.url}/v1/predictions",
        data={"request": json.dumps(request)},
        files={name: npy(array) for name, array in arrays.items()},
    )
    links = answer.json()["links"]
    page = page_of("about:blank", viewport={"width": 1280, "height": 900})
    asked: Counter[str] = Counter()
    page.on("request", lambda call: asked.update([urlsplit(call.url).path]))
    state = page.locator("h1 + .pill")
    # Events say how far it is: itself it was asked for once.
    page.goto(f"{served.url}/#/predictions/{answer.json()['id']}")
    expect(page.locator("main")).to_contain_text(
        re.compile(r"[1-9]\d* of \d+ tiles of its kernels"), timeout=WAIT_MS
    )
    expect(state).to_have_text("running")
    assert (asked[links["self"]], asked[links["events"]]) == (1, 1)
    page.get_by_role("link", name="training inputs", exact=True).click()
    canvas = page.locator("canvas.heatmap")
    expect(canvas).to_be_visible(timeout=WAIT_MS)
    painted = """() => {
        const canvas = document.querySelector('canvas.heatmap');
        const [red, , , alpha] = canvas.getContext('2d').getImageData(4, 4, 1, 1).data;
        return canvas.dataset.ready === 'false' && alpha === 255 && red < 230;
    }"""
    # Not wait_for_function, which the page's policy lets evaluate nothing a second time.
    until(lambda: page.evaluate(painted), "a tile is painted before the last is there")
    expect(state).to_have_text("running")
    path = links["kernels.train"]
    assert (asked[path], asked[f"{path}/events"]) == (1, 1)
    page.get_by_role("button", name="Cancel").click()
    expect(state).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Download nngp.npy")).to_be_disabled()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Really delete?").click()
    expect(page.locator("h1")).to_have_text("Jobs")
    assert httpx.get(f"{served.url}{path}").status_code == 404
    # What was to be made of it says why it was not.
    page.goto(f"{served.url}/#/predictions/{answer.json()['id']}")
    expect(state).to_have_text("failed")
    expect(page.locator(".notes")).to_contain_text("was cancelled")


def test_the_page_goes_on_when_the_service_is_back(served: Served, page_of: PageOf) -> None:
    page = page_of("about:blank")
    page.clock.install()
    page.route("**/v1/**", lambda route: route.abort())
    page.route("**/readyz", lambda route: route.abort())
    page.goto(served.url)
    expect(page.locator("#health")).to_have_text("not reached")
    page.clock.run_for(1000)
    expect(page.locator("#verdict")).to_contain_text("cannot be reached")
    page.unroute("**/v1/**")
    page.unroute("**/readyz")
    page.clock.run_for(20_000)
    expect(page.locator("#health")).to_have_text("ready")
    expect(page.locator("#verdict")).to_contain_text("Valid")


def computed(served: Served, **wishes: object) -> str:
    """The id of a small kernel job."""
    request = {"architecture": {"layers": [{"type": "dense"}, {"type": "relu"}]}, **wishes}
    answer = httpx.post(
        f"{served.url}/v1/kernels", data={"request": json.dumps(request)},
        files={"x1": npy(np.random.default_rng(2).standard_normal((300, 3)))},
        headers={"Prefer": "wait=60"}, timeout=70,
    )  # fmt: skip
    assert answer.json()["state"] == "succeeded"
    return answer.json()["id"]


def test_deleting_asks_first(served: Served, page_of: PageOf) -> None:
    job = computed(served)
    page = page_of("about:blank")
    page.clock.install()
    page.goto(f"{served.url}/#/jobs")
    delete = page.get_by_role("button", name=f"Delete {job}", exact=True)
    asking = page.get_by_role("button", name=f"Really delete? {job}", exact=True)
    said = page.locator("#announcement")
    # A double click, a key held down: each is one click. The question goes with the focus, with
    # Escape, or after a while.
    delete.dblclick()
    expect(asking).to_be_focused()
    expect(said).to_have_text("Really delete? Press again to delete.")
    page.keyboard.press("Tab")
    expect(delete).to_be_visible()
    expect(said).to_have_text("")
    delete.focus()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(asking).to_be_focused()
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    page.keyboard.press("Enter")
    expect(asking).to_be_focused()
    page.clock.run_for(10_000)
    expect(delete).to_be_focused()
    assert httpx.get(f"{served.url}/v1/kernels/{job}").is_success
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=job)).to_have_count(0)
    assert httpx.get(f"{served.url}/v1/kernels/{job}").status_code == 404


def test_what_cannot_be_had_now_is_asked_for_again(served: Served, page_of: PageOf) -> None:
    page = page_of("about:blank")
    answers = iter([503, 429, None])  # None: the connection is lost

    def refuse(route: Route) -> None:
        status = next(answers, 200)
        if status == 200:
            route.continue_()
        elif status is None:
            route.abort()
        else:
            route.fulfill(status=status, headers={"Retry-After": "1"}, json={"title": "Later"})

    page.route("**/nngp?rows=*", refuse)
    page.goto(f"{served.url}/#/jobs/{computed(served, outputs=['nngp'])}")
    ended(page)
    page.wait_for_selector("canvas[data-ready=true]", timeout=WAIT_MS)
    assert next(answers, 200) == 200


def test_a_slow_diagonal_is_not_drawn_under_the_other_tab(served: Served, page_of: PageOf) -> None:
    page = page_of("about:blank")
    page.route("**/nngp?rows=*", lambda route: None)  # never answered
    with page.expect_request("**/nngp?rows=*"):
        page.goto(f"{served.url}/#/jobs/{computed(served, form='diagonal')}")
    with page.expect_event("requestfailed", lambda request: "/nngp?rows=" in request.url):
        page.get_by_role("tab", name="NTK").click()
    expect(page.get_by_role("img", name="NTK, 300 of 300 rows")).to_be_visible()


def test_older_jobs_are_listed_once(served: Served, page_of: PageOf) -> None:
    page = page_of("about:blank")
    job = httpx.get(f"{served.url}/v1/kernels/{computed(served)}").json()
    slow: list[Route] = []

    def answer(route: Route) -> None:
        older = "cursor=" in route.request.url
        if older and not slow:
            slow.append(route)
        else:
            route.fulfill(json={"kernels": [job], "next": None if older else "older"})

    page.route("**/v1/kernels?*", answer)
    page.goto(f"{served.url}/#/jobs")
    # The second of two clicks takes the place of the first.
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Older ones").dblclick()
    expect(page.get_by_role("button", name="Older ones")).to_be_hidden()
    expect(page.locator(".jobs tbody tr")).to_have_count(2)
