"""The web page as a user has it: Chromium, a live service, a real worker."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page, expect

from tests.service.room.serving import Served

from .conftest import serving
from .files import give, npy
from .waiting import WAIT_MS, ended

PageOf = Callable[..., Page]
DENSE = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}


def finished(page: Page) -> None:
    ended(page)
    page.wait_for_selector("canvas[data-ready=true]", timeout=WAIT_MS)


def test_the_main_job_from_a_network_to_a_file(served: Served, page_of: PageOf) -> None:
    page = page_of(served.url, viewport={"width": 1280, "height": 900})
    verdict, field = page.locator("#verdict"), page.get_by_label("architecture as JSON")
    expect(verdict).to_contain_text("Valid")
    # Every layer is drawn, with the shape of what leaves it.
    expect(page.locator(".diagram .layer")).to_have_count(6)
    expect(page.locator(".diagram .shape").first).to_have_text("16 × ∞")
    # Mistakes are shown where they are: no JSON, and JSON that is no network.
    field.fill('{"layers": [\n  {"type": "dense",}]}')
    expect(verdict).to_contain_text("Line 2")
    field.fill('{"layers": [\n  {"type": "dense"},\n  {"type": "relu"},\n  {"type": "rleu"}]}')
    expect(verdict).to_contain_text("Line 4")
    expect(page.locator(".diagram .layer.wrong")).to_have_count(1)
    expect(page.get_by_role("button", name="Compute")).to_be_disabled()
    field.fill(json.dumps(DENSE))
    # The arrays' headers are read; what is no array is refused.
    x1 = np.random.default_rng(5).standard_normal((40, 6))
    page.set_input_files(
        "input#x1", {"name": "x1.npz", "mimeType": "application/zip", "buffer": b"PK\x03\x04" * 9}
    )
    expect(page.locator("#x1-state")).to_contain_text("no .npy file")
    give(page, "x1", x1[0])
    expect(page.locator(".slot .complaint").first).to_contain_text("got shape [6]")
    give(page, "x1", x1)
    expect(page.locator("#x1-state")).to_contain_text("40 × 6")
    expect(page.locator("#x1-state")).to_contain_text("float64")
    expect(verdict).to_contain_text("6 in, ∞ out")
    expect(page.locator(".figures")).to_contain_text("40 × 40")
    page.get_by_label("float64").check()
    page.get_by_role("button", name="Compute").click()
    finished(page)
    # The value under the cursor, the spectrum, and the file are the kernel's.
    job = page.url.rpartition("/")[2]
    nngp = np.load(io.BytesIO(httpx.get(f"{served.url}/v1/kernels/{job}/nngp").content))
    page.mouse.move(0, 0)  # the pointer moves the cursor too
    page.locator("canvas.heatmap").focus()
    page.keyboard.press("Control+ArrowDown")  # the browser's
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".readout")).to_contain_text("row 1, column 3: ")
    shown = float(page.locator(".readout").inner_text().rpartition(" ")[2])
    assert abs(shown - nngp[1, 3]) < 1e-5 * abs(nngp[1, 3])
    expect(page.locator(".chart .dot")).to_have_count(80)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download nngp.npy").click()
    assert np.array_equal(np.load(download.value.path()), nngp)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download preview.png").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    # On the smallest telephone nothing is wider than it, diagnostics included.
    page.set_viewport_size({"width": 320, "height": 800})
    expect(page.get_by_role("region", name="table of diagnostics")).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1280, "height": 900})
    # What was computed can be read, and sent again as it stands.
    expect(page.locator(".facts")).to_contain_text("dense, relu, dense")
    page.get_by_text(re.compile(r"^Network \(")).click()
    shown_network = json.loads(page.locator("details[open] pre").inner_text())
    assert shown_network == httpx.get(f"{served.url}/v1/kernels/{job}/architecture").json()
    # It is in the list, and can be removed there.
    page.get_by_role("link", name="Jobs").click()
    network = httpx.get(f"{served.url}/v1/kernels/{job}").json()["architecture"]
    row = page.get_by_role("row").filter(has_text=job)
    expect(row.get_by_title(network)).to_have_text(network[:8])
    page.get_by_role("button", name=f"Delete {job}").click()
    page.get_by_role("button", name=f"Really delete? {job}").click()
    expect(page.get_by_role("link", name=job)).to_have_count(0)
    assert httpx.get(f"{served.url}/v1/kernels/{job}").status_code == 404


def test_a_network_outlives_a_reload(served: Served, page_of: PageOf) -> None:
    page = page_of(f"{served.url}/#/predict")
    page.get_by_label("Start from").select_option(label="Images: convolution")
    page.get_by_role("link", name="Compute", exact=True).click()
    network, field = json.dumps(DENSE), page.get_by_label("architecture as JSON")
    page.get_by_label("Start from").select_option(label="Vectors: dense")
    page.get_by_label("Shape of one input").fill("5, 7")
    field.fill(network)
    page.reload()
    expect(field).to_have_value(network)
    expect(page.get_by_label("Shape of one input")).to_have_value("5, 7")
    expect(page.get_by_label("Start from").locator("option:checked")).to_have_text("Vectors: dense")
    expect(page.locator("#verdict")).to_contain_text("5 × 7 in")
    # An array is gone, but not what it was shaped like; a mistake is kept like anything else.
    give(page, "x1", np.zeros((4, 6)))
    expect(page.locator("#verdict")).to_contain_text("6 in")
    field.fill("{")
    page.reload()
    expect(field).to_have_value("{")
    expect(page.locator("#verdict")).to_contain_text("Line 1")
    expect(page.get_by_label("Shape of one input")).to_have_value("6")
    page.get_by_role("link", name="Predict", exact=True).click()
    expect(page.get_by_label("Shape of one input")).to_have_value("10, 10, 3")
    expect(page.locator("#verdict")).to_contain_text("Valid")


def test_names_begin_with_the_words_in_sight(served: Served, page_of: PageOf) -> None:
    page = page_of(served.url)
    expect(page.locator(".diagram .layer .details")).to_have_count(2)
    answer = httpx.post(
        f"{served.url}/v1/kernels", data={"request": json.dumps({"architecture": DENSE})},
        files={"x1": npy(np.eye(3))}, headers={"Prefer": "wait=60"}, timeout=70,
    )  # fmt: skip
    for view, button in (
        ("#/", "dense w_std 1.4, b_std 0.1"),
        (f"#/jobs/{answer.json()['id']}", "whole"),
        ("#/jobs", "Delete"),
    ):
        page.goto(f"{served.url}/{view}")
        expect(page.get_by_role("button", name=button).first).to_be_visible(timeout=WAIT_MS)
        names = page.evaluate(
            """() => {
                const named = document.querySelectorAll('[aria-label]:is(button, [role=button])');
                return Array.from(named, (one) => [one.ariaLabel, one.textContent]);
            }"""
        )
        assert names
        for name, seen in names:  # whoever speaks to the page says what they see; "+" is not said
            words = seen.removesuffix("…").lower()
            assert name.lower().startswith(words) or words in "−+", (name, seen)


def test_a_large_matrix_is_fetched_where_it_is_looked_at(served: Served, page_of: PageOf) -> None:
    rows = np.random.default_rng(1).standard_normal((2000, 4))
    answer = httpx.post(
        f"{served.url}/v1/kernels",
        data={"request": json.dumps({"architecture": DENSE, "outputs": ["nngp"]})},
        files={"x1": npy(rows)}, headers={"Prefer": "wait=60"}, timeout=70,
    )  # fmt: skip
    asked: list[str] = []
    page = page_of("about:blank", viewport={"width": 400, "height": 800})
    page.on(
        "request", lambda request: asked.append(request.url) if "rows=" in request.url else None
    )
    page.goto(f"{served.url}/#/jobs/{answer.json()['id']}")
    finished(page)
    # 8 by 8 squares there are; 1,024 rows and columns are looked at.
    assert len(set(asked)) == 16
    assert page.locator("canvas.overview").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("canvas.heatmap").focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    for _ in range(45):
        page.keyboard.press("Shift+ArrowRight")
    page.wait_for_selector("canvas[data-ready=true]")
    assert len(set(asked)) == 16


def test_the_modules_of_the_page(served: Served, page_of: PageOf) -> None:
    page = page_of(served.url)
    # Eigenvalues, against LAPACK; one matrix is singular, one diagonal.
    rng = np.random.default_rng(3)
    for size, rank in ((1, 1), (2, 2), (40, 40), (90, 12)):
        half = rng.standard_normal((size, rank))
        for matrix in (half @ half.T, np.diag(half[:, 0])):
            got = page.evaluate(
                "async ([m, n]) => Array.from((await import('/web/kernel/eigenvalues.js')).eigenvalues(m, n))",
                [matrix.reshape(-1).tolist(), size],
            )
            want = np.linalg.eigvalsh(matrix)[::-1]
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * max(1, abs(want).max()))
    # What is not positive is rounding where it can be, and else is told.
    for values, method, said in (
        ([4.0, 1.0, 1e-9], {"type": "exact"}, None),
        ([4.0, 1.0, -1e-6], {"type": "exact"}, "NTK: 1 not positive, within rounding"),
        ([4.0, 0.0, -0.25], {"type": "exact"}, "NTK: 2 not positive, down to -0.25, which is more"),
        ([4.0, 1.0, -0.25], {"type": "additive", "tolerance": 0.01}, "or a tolerance below 0.01"),
    ):
        words = page.evaluate(
            """async ([values, method]) => (await import('/web/kernel/spectrum.js')).lost(
                { name: 'ntk', values }, 2 ** -23, method)""",
            [values, method],
        )
        assert words is None if said is None else said in words
    # An index is marked at round numbers, evenly, as often as there is room.
    for low, high, most, marks in (
        (0, 31, 6, [0, 10, 20, 30]),
        (0, 31, 10, [0, 5, 10, 15, 20, 25, 30]),
        (1, 64, 10, [10, 20, 30, 40, 50, 60]),
        (0, 1999, 6, [0, 500, 1000, 1500]),
        (1, 82, 5, [20, 40, 60, 80]),
        (1, 102, 5, [50, 100]),
        (1, 2, 5, [1, 2]),
        (1, 1, 5, [1]),
        (0, 0, 6, [0]),
    ):
        got = page.evaluate(
            "async (range) => (await import('/web/elements/chart.js')).marks(...range)",
            [low, high, most],
        )
        assert got == marks
    # Headers of every dtype and order, as numpy writes them.
    for array in (
        np.zeros((2, 3), "<f4"), np.zeros(5, ">f8"), np.zeros((2, 2), bool),
        np.asfortranarray(np.zeros((3, 2), "i8")),
    ):  # fmt: skip
        header: dict[str, Any] = page.evaluate(
            "async (b) => (await import('/web/calls/npy.js')).readHeader(new Blob([new Uint8Array(b)]))",
            list(npy(array)),
        )
        assert (header["shape"], header["dtype"]) == (list(array.shape), array.dtype.name)
        assert header["fortran"] == (array.ndim > 1 and not array.flags.c_contiguous)
    # Every example is a network that the service takes with its sample data, both read by numpy.
    for index in range(
        page.evaluate("async () => (await import('/web/compose/examples.js')).EXAMPLES.length")
    ):
        example, files = page.evaluate(
            """async (index) => {
                const example = (await import('/web/compose/examples.js')).EXAMPLES[index];
                const { families } = await import('/web/compose/samples.js');
                const files = families(example.shape, 6, example.masked);
                const bytes = async (file) => Array.from(new Uint8Array(await file.arrayBuffer()));
                const read = await Promise.all(
                    Object.entries(files).map(async ([name, file]) => [name, await bytes(file)]));
                return [example, Object.fromEntries(read)];
            }""",
            index,
        )
        parts = {name: bytes(content) for name, content in files.items()}
        assert np.load(io.BytesIO(parts["x1"])).shape == (6, *example["shape"])
        answer = httpx.post(
            f"{served.url}/v1/estimates",
            data={"request": json.dumps({"architecture": example["architecture"]})}, files=parts,
        )  # fmt: skip
        assert answer.status_code == 200, (example["name"], answer.text)
        assert answer.json()["admitted"], example["name"]


def test_a_service_with_keys_is_asked_with_the_key(
    root: Path, tmp_path: Path, page_of: PageOf
) -> None:
    with serving(root, tmp_path / "data") as served:
        made = subprocess.run(
            [sys.executable, "-m", "service", "keys", "--data-dir", str(tmp_path / "data"), "create"],
            cwd=root, capture_output=True, text=True, check=True,
        )  # fmt: skip
        key = next(word for word in made.stdout.split() if word.startswith("gramd_"))
        page = page_of(served.url)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("This service asks for a key")
        expect(dialog.get_by_role("button", name="Forget it")).to_be_hidden()
        dialog.get_by_label("Key").fill("gramd_wrong")
        dialog.get_by_role("button", name="Use it").click()
        expect(dialog).to_contain_text("does not know this key")
        dialog.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#verdict")).to_contain_text("Valid")
        page.get_by_role("button", name="Use sample data").click()
        expect(page.locator(".figures")).to_contain_text("64 × 64")
        page.get_by_role("link", name="Jobs").click()
        expect(page.locator("main")).to_contain_text("No kernel jobs yet")
        kept = page.evaluate("[sessionStorage['gramd.key'], localStorage.length, document.cookie]")
        assert kept == [key, 0, ""]
