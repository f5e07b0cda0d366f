"""Arrays in parts and rows that come later, from the page."""

import io
import json
import os
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Page, Route, expect

from tests.service.room.serving import Served

from .files import give, npy
from .waiting import WAIT_MS, ended

PageOf = Callable[..., Page]
DENSE = {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}


def test_sha256_is_that_of_the_standard(served: Served, page_of: PageOf) -> None:
    page = page_of(f"{served.url}/web/icon.svg")
    contents = [
        np.random.default_rng(length).bytes(length)
        for length in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000)
    ]
    found = page.evaluate(
        """async (contents) => {
            const { computed, sha256 } = await import('/web/calls/sha256.js');
            return Promise.all(contents.map(async (content) => {
                const bytes = new Uint8Array(content);
                return [Array.from(computed(bytes)), Array.from(await sha256(bytes))];
            }));
        }""",
        [list(content) for content in contents],
    )
    assert found == [[list(sha256(content).digest())] * 2 for content in contents]


def test_the_digest_of_a_part_is_the_one_that_the_service_tells(
    served: Served, page_of: PageOf, tmp_path: Path
) -> None:
    page = page_of(served.url)
    page.evaluate("document.body.append(Object.assign(document.createElement('input'), {"
                  "type: 'file', multiple: true, id: 'files'}))")  # fmt: skip
    rng = np.random.default_rng(3)
    mask = np.arange(5) < np.array([[5], [2], [1], [4], [3], [5], [5]])
    client = httpx.Client(base_url=served.url)
    for kind, masked in (
        ("<f4", True),
        (">f8", True),
        ("<f2", False),
        ("<i8", True),
        ("|b1", False),
    ):
        x = (100 * rng.standard_normal((7, 5, 2))).astype(kind)
        np.save(tmp_path / "x.npy", x)
        np.save(tmp_path / "mask.npy", mask)
        dtype = "float32" if np.can_cast(x.dtype, np.float32, "safe") else "float64"
        plan = {"shape": x.shape, "dtype": dtype, "masked": masked, "part_rows": 3}
        links = client.post("/v1/datasets", json=plan).json()["links"]
        for part in (0, 2):
            rows = slice(3 * part, 3 * part + 3)
            files = {"x": npy(x[rows])} | ({"mask": npy(mask[rows])} if masked else {})
            put = client.build_request("PUT", f"{links['parts']}/{part}", files=files)
            digest = b64encode(sha256(put.read()).digest()).decode()
            put.headers["Content-Digest"] = f"sha-256=:{digest}:"
            client.send(put).raise_for_status()
        told = client.get(links["self"]).json()
        page.set_input_files("#files", [tmp_path / "x.npy", tmp_path / "mask.npy"])
        found = page.evaluate(
            """async ([dataset, masked]) => {
                const { readHeader } = await import('/web/calls/npy.js');
                const { digestOf } = await import('/web/calls/parts.js');
                const files = Array.from(document.querySelector('#files').files);
                const [x, mask] = await Promise.all(
                    files.map(async (file) => ({ file, header: await readHeader(file) })));
                const source = { x, mask: masked ? mask : undefined };
                return [await digestOf(source, dataset, 0), await digestOf(source, dataset, 2)];
            }""",
            [told, masked],
        )
        assert found == told["digests"], kind
    client.close()


def assert_computed(served: Served, page: Page, x: np.ndarray, mask: np.ndarray) -> None:
    """The job on the page is that of x, pooled over its real positions."""
    job = page.url.rpartition("/")[2]
    nngp = np.load(io.BytesIO(httpx.get(f"{served.url}/v1/kernels/{job}/nngp").content))
    pooled = (x * mask[:, :, None]).sum(1, dtype=np.float64) / mask.sum(1)[:, None]
    np.testing.assert_allclose(nngp, pooled @ pooled.T / x.shape[2], atol=1e-5 * nngp.max())


def test_an_upload_goes_on_where_it_was(served: Served, page_of: PageOf, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal((40, 64, 900), dtype=np.float32)  # 9.2 MB: three parts
    mask = np.arange(64) < rng.integers(20, 64, 40)[:, None]
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "mask.npy", mask)
    page = page_of(served.url, viewport={"width": 1280, "height": 900})
    network = {"layers": [{"type": "dense"}, {"type": "global_avg_pool"}, {"type": "dense"}]}

    def choose() -> None:
        page.get_by_label("architecture as JSON").fill(json.dumps(network))
        page.set_input_files("input#x1", tmp_path / "x.npy")
        page.set_input_files("input#mask1", tmp_path / "mask.npy")

    def refuse(route: Route) -> None:
        route.fulfill(
            status=507, content_type="application/problem+json",
            body=json.dumps({"title": "Full", "detail": "there is no room for this part"}),
        )  # fmt: skip

    # The last part is refused: what is wrong stands in the slot, and nothing is lost.
    page.route("**/parts/2", refuse)
    choose()
    page.get_by_role("button", name="Upload and estimate").click()
    slot = page.locator(".slot", has=page.locator("#x1"))
    expect(slot).to_contain_text("there is no room for this part")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    # Even after a reload the first part is not sent again; the second is, since its rows are others
    # by now, in a file that looks the same from outside.
    sent: list[str] = []
    page.unroute("**/parts/2")
    page.reload()
    x[20] += 1.0
    about = (tmp_path / "x.npy").stat()
    np.save(tmp_path / "x.npy", x)
    os.utime(tmp_path / "x.npy", ns=(about.st_atime_ns, about.st_mtime_ns))
    page.on("request", lambda call: sent.append(call.url) if "/parts/" in call.url else None)
    choose()
    page.get_by_role("button", name="Upload and estimate").click()
    expect(slot).to_contain_text("stored as", timeout=WAIT_MS)
    assert [url.rpartition("/")[2] for url in sent] == ["1", "2"]
    expect(page.locator(".figures")).to_contain_text("40 × 40", timeout=WAIT_MS)
    page.get_by_role("button", name="Compute", exact=True).click()
    ended(page)
    # It is the array that it would have been in one piece.
    assert_computed(served, page, x, mask)


def test_a_mask_that_cannot_be_cut_into_rows_is_sent_whole(
    served: Served, page_of: PageOf, tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((40, 64, 900), dtype=np.float32)
    mask = np.arange(64) < rng.integers(20, 64, 40)[:, None]
    np.save(tmp_path / "x.npy", x)
    page = page_of(served.url)
    network = {"layers": [{"type": "dense"}, {"type": "global_avg_pool"}]}
    page.get_by_label("architecture as JSON").fill(json.dumps(network))
    page.set_input_files("input#x1", tmp_path / "x.npy")
    # A row too many is refused, not left out.
    give(page, "mask1", np.concatenate([mask, mask[:1]]))
    estimate = page.get_by_role("button", name="Estimate", exact=True)
    estimate.click()
    complaint = page.locator(".slot", has=page.locator("#mask1")).locator(".complaint")
    expect(complaint).to_contain_text("41", timeout=WAIT_MS)
    # Columns one behind the other are read as what they are.
    give(page, "mask1", np.asfortranarray(mask))
    estimate.click()
    expect(page.locator(".figures")).to_contain_text("40 × 40", timeout=WAIT_MS)
    page.get_by_role("button", name="Compute", exact=True).click()
    ended(page)
    assert_computed(served, page, x, mask)


def test_an_upload_can_be_paused(served: Served, page_of: PageOf, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2400, 1000), np.float32))
    page = page_of(served.url)
    page.get_by_label("architecture as JSON").fill(json.dumps(DENSE))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/parts/2", hold)
    page.set_input_files("input#x1", tmp_path / "x.npy")
    page.get_by_role("button", name="Upload and estimate").click()
    slot = page.locator(".slot", has=page.locator("#x1"))
    expect(slot).to_contain_text("2 of 3 parts uploaded", timeout=WAIT_MS)
    page.get_by_role("button", name="Pause").click()
    expect(slot).to_contain_text("paused")
    page.unroute("**/parts/2")
    page.get_by_role("button", name="Resume").click()
    expect(slot).to_contain_text("stored as", timeout=WAIT_MS)


def test_more_rows_reuse_what_is_there(served: Served, page_of: PageOf) -> None:
    rows = np.random.default_rng(8).standard_normal((50, 5))
    page = page_of(served.url)
    page.get_by_label("architecture as JSON").fill(json.dumps(DENSE))
    give(page, "x1", rows[:40])
    button = page.get_by_role("button", name="Compute", exact=True)
    expect(button).to_be_enabled()
    button.click()
    ended(page)
    first = page.url.rpartition("/")[2]
    # Rows of another shape are refused beside them.
    extend = page.get_by_role("button", name="Extend")
    expect(extend).to_be_disabled()
    give(page, "x1", rows[40:, :4])
    extend.click()
    slot = page.locator(".slot", has=page.locator("#x1"))
    expect(slot.locator(".complaint")).to_contain_text("expected new rows of shape [5]")
    give(page, "x1", rows[40:])
    expect(slot.locator(".complaint")).to_be_hidden()
    expect(page.locator("main")).to_contain_text("40 × 40 becomes 50 × 50")
    extend.click()
    expect(page.locator(".facts")).to_contain_text("Continues")
    ended(page)
    expect(page.locator(".facts")).to_contain_text("50 × 50")
    assert page.url.rpartition("/")[2] != first
    assert page.locator(".facts a").get_attribute("href") == f"#/jobs/{first}"
