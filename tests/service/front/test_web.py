"""GET / and /web/{name}: the page's files, its policy, and what a browser need not fetch again."""

import posixpath
import re

import httpx
import pytest

from service.web.assets import ASSETS, PAGE

from .conftest import problem


async def test_the_page_runs_nothing_but_its_own_files(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(
        policy.split("; ")
    )
    assert "unsafe" not in policy
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text) == []
    # No other host: everything named is a file of ours.
    named = re.findall(r'(?:src|href)="([^"#][^"]*)"', answer.text)
    for address in named:
        assert (await client.get(address)).status_code == 200, address


async def test_every_file_is_served_and_every_import_is_there(client: httpx.AsyncClient) -> None:
    assert PAGE in ASSETS
    for name, asset in ASSETS.items():
        answer = await client.get(f"/web/{name}")
        assert answer.content == asset.content
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await client.get(f"/web/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        text = answer.text
        imported = {
            posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            for path in re.findall(r'from "(\.[^"]+)"', text)
        }
        assert imported <= set(ASSETS), name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name


@pytest.mark.parametrize("path", ["/web/nothing.js", "/web/assets.py", "/web/..%2fapp.py"])
async def test_there_are_no_other_files(client: httpx.AsyncClient, path: str) -> None:
    problem(await client.get(path), 404)
