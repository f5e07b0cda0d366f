"""Jobs that are watched: rows that come while others are computed, and a service that goes away."""

import json
from collections.abc import Callable

import httpx
import numpy as np
from playwright.sync_api import Page, Request, expect

from tests.service.room.serving import Served

from .files import npy

PageOf = Callable[..., Page]
WAIT_MS = 60_000


def test_finished_rows_are_there_before_the_job_is(served: Served, page_of: PageOf) -> None:
    layers = [{"type": "dense"}, {"type": "relu"}, {"type": "attention"}, {"type": "relu"}] * 2
    request = {"architecture": {"layers": [*layers, {"type": "global_avg_pool"}]}}
    answer = httpx.post(
        f"{served.url}/v1/kernels",
        data={"request": json.dumps(request)},
        files={"x1": npy(np.random.default_rng(9).standard_normal((2400, 12, 4)))},
    )
    page = page_of("about:blank", viewport={"width": 1280, "height": 900})
    polled: list[str] = []
    path = answer.json()["links"]["self"]

    def count(call: Request) -> None:
        if call.url.endswith(path):
            polled.append(call.url)

    page.on("request", count)
    page.goto(f"{served.url}/#/jobs/{answer.json()['id']}")
    canvas = page.locator("canvas.heatmap")
    expect(canvas).to_be_visible(timeout=WAIT_MS)
    page.wait_for_function(
        """() => {
            const canvas = document.querySelector('canvas.heatmap');
            const [red, , , alpha] = canvas.getContext('2d').getImageData(4, 4, 1, 1).data;
            return canvas.dataset.ready === 'false' && alpha === 255 && red < 230;
        }""",
        timeout=WAIT_MS,
    )
    expect(page.locator("h1 + .pill")).to_have_text("running")
    # Events say how far it is: the job itself was asked for once.
    assert len(polled) == 1
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1 + .pill")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Download nngp.npy")).to_be_disabled()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("Jobs")
    assert httpx.get(f"{served.url}{path}").status_code == 404


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
