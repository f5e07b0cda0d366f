"""Predictions from the page: from files to mean, spread and downloads."""

import io
from collections.abc import Callable

import httpx
import numpy as np
from playwright.sync_api import Page, expect

from tests.service.room.serving import Served, until

from .files import give
from .waiting import ended

PageOf = Callable[..., Page]
DENSE = '{"layers": [{"type": "dense"}, {"type": "erf"}, {"type": "dense"}]}'


def sent(page: Page) -> str:
    """Press the button; the id of what came of it, once it has succeeded."""
    page.locator("main").get_by_role("button", name="Predict", exact=True).click()
    ended(page)
    return page.url.rpartition("/")[2]


def answer(served: Served, prediction: str, output: str) -> np.ndarray:
    found = httpx.get(f"{served.url}/v1/predictions/{prediction}/{output}")
    return np.load(io.BytesIO(found.content))


def test_mean_and_spread_of_a_gaussian_process(served: Served, page_of: PageOf) -> None:
    page = page_of(f"{served.url}/#/predict", viewport={"width": 1280, "height": 900})
    page.get_by_label("architecture as JSON").fill(DENSE)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((30, 4))
    give(page, "x_train", x)
    give(page, "y_train", np.sin(x[:29, 0]))
    give(page, "x_test", rng.standard_normal((14, 4)))
    # What does not fit is said before anything is sent.
    expect(page.locator(".estimate")).to_contain_text("x_train has 30 rows and y_train 29")
    button = page.locator("main").get_by_role("button", name="Predict", exact=True)
    expect(button).to_be_disabled()
    give(page, "y_train", np.sin(x[:, 0]))
    expect(page.locator(".estimate")).to_contain_text("14 × 30")
    page.get_by_label("Added to the diagonal").select_option("absolute")
    page.get_by_label("diag_reg", exact=True).fill("0.01")
    # Error bars are as wide as left-out targets lie off, unless told otherwise.
    expect(page.get_by_label("Error bars")).to_have_value("loo")
    prediction = sent(page)
    mean, variance = (answer(served, prediction, name) for name in ("mean", "variance"))
    # The receipt's facts, the plot, and the table, of which the last page is short.
    record = httpx.get(f"{served.url}/v1/predictions/{prediction}").json()
    facts = page.locator(".facts")
    expect(facts).to_contain_text("0.01 (")
    expect(facts).to_contain_text("none was needed")
    for label, name in (
        ("Log marginal likelihood", "log_marginal_likelihood"),
        ("Output scale", "output_scale"),
    ):
        shown = facts.locator("div", has_text=label).locator("dd").inner_text()
        assert abs(float(shown.split()[0]) / record["receipt"][name] - 1) < 1e-5
    assert record["model"]["output_scale"] == "loo"
    expect(page.locator(".chart .band")).to_have_count(1)
    expect(page.locator(".chart .dot")).to_have_count(14)
    page.get_by_role("button", name="Later rows").click()
    rows = page.locator(".answers tbody tr")
    expect(rows).to_have_count(2)
    cells = [float(text) for text in rows.last.locator("th, td").all_inner_texts()]
    np.testing.assert_allclose(cells, [13, mean[13], np.sqrt(variance[13])], rtol=1e-5)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download variance.npy").click()
    assert np.array_equal(np.load(download.value.path()), variance)
    # What was found while it was solved is said with what was known before.
    address = f"**{record['links']['self']}"
    receipt = record["receipt"] | {"warnings": ["The kernel is nearly singular.", "So is another."]}
    told = record | {"warnings": ["All rows are alike."], "receipt": receipt}
    page.route(address, lambda route: route.fulfill(json=told))
    page.reload()
    expect(page.locator(".notes .warning")).to_have_text(told["warnings"] + receipt["warnings"])
    page.unroute(address)
    # It is in the list, and can be removed there.
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="Predictions").click()
    page.get_by_role("button", name=f"Delete {prediction}").click()
    page.get_by_role("button", name=f"Really delete? {prediction}").click()
    expect(page.get_by_role("link", name=prediction)).to_have_count(0)
    assert httpx.get(f"{served.url}/v1/predictions/{prediction}").status_code == 404


def test_classes_of_networks_trained_for_a_while(served: Served, page_of: PageOf) -> None:
    page = page_of(f"{served.url}/#/predict", viewport={"width": 390, "height": 800})
    page.get_by_label("architecture as JSON").fill(DENSE)
    rng = np.random.default_rng(4)
    labels = np.repeat([3, 5, 9], 8)
    centres = rng.standard_normal((10, 4))
    give(page, "x_train", centres[labels] + 0.1 * rng.standard_normal((24, 4)))
    give(page, "y_train", labels)
    give(page, "x_test", centres[[9, 3, 5]])
    # Leave-one-out is of the end of the flow: a finite time takes the choice away.
    page.get_by_label("What is trained").select_option("gradient_flow")
    page.get_by_label("Trained until").select_option("time")
    expect(page.get_by_label("Added to the diagonal")).to_have_value("relative")
    page.get_by_label("t = steps").fill("200")
    page.get_by_label("Targets").select_option("classification")
    page.get_by_label("covariance").check()
    # The covariance takes a kernel more. What the service would refuse is said, and not sent.
    expect(page.locator(".estimate tbody tr")).to_contain_text(["24 × 24", "3 × 24", "3 × 3"])
    give(page, "x_test", rng.standard_normal((5001, 4)))
    expect(page.locator(".estimate")).to_contain_text("5\u202f001 test rows")
    button = page.locator("main").get_by_role("button", name="Predict", exact=True)
    expect(button).to_be_disabled()
    give(page, "x_test", centres[[9, 3, 5]])
    prediction = sent(page)
    expect(page.locator(".facts")).to_contain_text("gradient flow, t = 200")
    first = page.locator(".answers tbody tr").first.locator("th, td")
    expect(first.nth(1)).to_have_text("9")
    assert answer(served, prediction, "classes").tolist() == [9, 3, 5]
    page.get_by_label("output that is drawn").select_option("class 5")
    expect(page.locator(".key.series-0")).to_have_text("class 5")
    expect(page.get_by_role("button", name="Download covariance.npy")).to_be_visible()
    # The covariance can be read entry by entry.
    page.locator("canvas.heatmap[data-ready=true]").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".readout")).to_contain_text("row 1, column 1: ")
    shown = float(page.locator(".readout").inner_text().rpartition(" ")[2])
    np.testing.assert_allclose(shown, answer(served, prediction, "covariance")[1, 1], rtol=1e-5)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The table is wider than that, and scrolls by keyboard too.
    page.get_by_role("region", name="table of answers").focus()
    page.keyboard.press("ArrowRight")
    # Not wait_for_function, which the page's policy lets evaluate nothing a second time.
    until(lambda: page.evaluate("document.activeElement.scrollLeft > 0"), "the table scrolls")
    # What it would take again: longer words, which fit on a telephone all the same.
    page.get_by_role("link", name="Predict", exact=True).click()
    page.get_by_role("checkbox", name="covariance").uncheck()
    expect(page.locator(".estimate table")).to_contain_text("cached")
    for width in (390, 375, 360, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
