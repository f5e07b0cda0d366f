"""Which methods a path knows, for responses of 405."""

from starlette.requests import Request
from starlette.routing import Match


def allowed_methods(request: Request) -> list[str]:
    """The methods that some route of the application knows at this request's path.

    Starlette itself names those of the first route that has the path only.
    """

    def known(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    found = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if known(method)]
    # service.context answers HEAD wherever GET is known.
    return [*found, "HEAD"] if "GET" in found else found
