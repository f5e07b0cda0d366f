"""Crafted and damaged requests: each gets one answer that is not our fault, in bounded memory."""

from itertools import islice
from random import Random

import httpx
import pytest

from tests.hostile.conftest import Target
from tests.hostile.corpus import Shot, by_hand, damaged

SEED = 20_261_122
# With what is crafted, generated and hardly HTTP, well over 20,000 requests.
DAMAGED = 16_000


def send(client: httpx.Client, target: Target, shot: Shot) -> None:
    """One request, as it stands."""
    headers = [(k.encode(), v.encode("latin-1")) for k, v in shot.headers.items()]
    # The target is sent as it is, and no library puts it right on the way.
    extensions = {"target": shot.path.encode()}
    request = client.build_request(
        shot.method, target.url, content=shot.body, headers=headers, extensions=extensions
    )
    what = f"{shot.method} {shot.path[:100]} {shot.headers} {shot.body[:300]!r}"
    try:
        answer = client.send(request)
    except httpx.HTTPError as error:
        raise AssertionError(f"{what}: {error!r}") from error
    target.judge(answer.status_code, answer.headers, answer.content, what)


@pytest.mark.usefixtures("bounded")
def test_whatever_is_crafted_by_hand_is_answered(target: Target) -> None:
    shots = by_hand()
    with httpx.Client(timeout=60) as client:
        for shot in shots:
            send(client, target, shot)
    assert len(shots) > 900


@pytest.mark.usefixtures("bounded")
def test_whatever_is_damaged_is_answered(target: Target, share: float) -> None:
    with httpx.Client(timeout=60) as client:
        for shot in islice(damaged(Random(SEED)), int(share * DAMAGED)):
            send(client, target, shot)
