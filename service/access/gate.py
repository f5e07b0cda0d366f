"""Who is asking: from the Authorization header to a tenant.

no key was ever made     the one tenant `default`, where that is allowed (service.access.exposure)
Bearer KEY               the key's tenant
anything else            401; 403 for a key of another scope
"""

from __future__ import annotations

from collections.abc import Sequence

from service.access.api_keys import ApiKey, ApiKeys, Scope
from service.http.problems import Forbidden, Unauthorized
from service.store.tenants import DEFAULT_TENANT

CHALLENGE = 'Bearer realm="gramd"'


class Gate:
    """Admits callers; `may_be_open` says whether those without a key get in while no key exists."""

    def __init__(self, api_keys: ApiKeys, *, may_be_open: bool) -> None:
        self._api_keys = api_keys
        self._may_be_open = may_be_open

    async def admit(self, authorization: Sequence[str], scope: Scope = "tenant") -> str:
        """The tenant behind the Authorization headers of a request.

        Raises Unauthorized, or Forbidden for a valid key of another scope.
        """
        if not authorization:
            if self._may_be_open and not await self._api_keys.any():
                return DEFAULT_TENANT
            raise Unauthorized(
                "this service asks for a key: send `Authorization: Bearer KEY`; its operator makes"
                " one with `python -m service keys create`",
                parameter="Authorization",
                headers={"WWW-Authenticate": CHALLENGE},
            )
        key = await self._valid(authorization)
        if key.scope != scope:
            opens = "/metrics alone" if key.scope == "metrics" else "its tenant's resources alone"
            raise Forbidden(f"this key opens {opens}", parameter="Authorization")
        return key.tenant

    async def _valid(self, authorization: Sequence[str]) -> ApiKey:
        scheme, _, key = authorization[0].partition(" ")
        if len(authorization) > 1 or scheme.lower() != "bearer":
            detail = "expected one header `Authorization: Bearer KEY`"
        else:
            found = await self._api_keys.find(key.strip())
            if found is not None:
                return found
            detail = "this key is not known here, or has been revoked"
        raise Unauthorized(
            detail,
            parameter="Authorization",
            headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'},
        )
