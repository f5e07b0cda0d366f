"""GET / and /web/{name}: the web page, which is a client of /v1 like any other.

It holds nothing of anyone's, so it is open: the page asks for a key when /v1 does. The policy below
lets it run and load what this service serves and nothing else.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.http.conditional import not_modified
from service.http.problems import UnknownResource
from service.http.queries import only
from service.web.assets import ASSETS, PAGE, Asset

# Not part of the contract in openapi.yaml: these are pages, not resources.
router = APIRouter(include_in_schema=False)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # preview.png is fetched with the key, so it comes as a blob
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Kept, and asked after each time: modules import one another by plain names, so that an update
    # must reach all of them at once.
    "Cache-Control": "no-cache",
}


@router.get("/", summary="The web page")
async def page(request: Request) -> Response:
    """The page itself; what it shows is chosen behind the #."""
    only(request)
    return _response(request, ASSETS[PAGE])


@router.get("/web/{name:path}", summary="A file of the web page")
async def file(request: Request, name: str) -> Response:
    """A script, a style sheet or an icon."""
    only(request)
    asset = ASSETS.get(name)
    if asset is None:
        raise UnknownResource(f"the web page has no file {name[:60]!r}")
    return _response(request, asset)


def _response(request: Request, asset: Asset) -> Response:
    headers = {**HEADERS, "ETag": asset.etag}
    if not_modified(request, asset.etag):
        return Response(None, 304, headers)
    return Response(asset.content, 200, {**headers, "Content-Type": asset.media})
