"""What no HTTP library would send: lengths that lie, heads that never end, bodies that stop."""

import asyncio

import pytest

from tests.hostile.conftest import WHOLE, Target

HEAD = b"POST /v1/kernels HTTP/1.1\r\nHost: gramd\r\nContent-Type: application/json\r\n"
RAW: list[bytes] = [
    HEAD + b"Content-Length: -1\r\n\r\n{}",
    HEAD + b"Content-Length: 1e3\r\n\r\n{}",
    HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    HEAD + b"Content-Length: 1\r\n\r\n{}{}{}{}",
    HEAD + b"Content-Length: 100\r\n\r\n{}",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n" * 5000,
    HEAD + b"Transfer-Encoding: identity\r\n\r\n{}",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    HEAD + b"X: a\r\n" * 20_000 + b"\r\n",
    HEAD + b"X\0Y: a\r\n\r\n",
    HEAD + b" folded: a\r\n\r\n",
    HEAD.replace(b"\r\n", b"\n") + b"\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[::1/v1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/kernels HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT gramd:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
    b"\r\n" * 1000,
    b"\0" * 1000,
]
ROUNDS = 60


async def raw(target: Target, data: bytes) -> None:
    """Send bytes, say that no more come, and read what is answered, if anything is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    try:
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(1 << 16), 60)
    except ConnectionError:
        answer = b""  # refused in mid-request: closed while we still wrote
    finally:
        writer.close()
    status = int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    target.tally[status] += 1
    assert status < 500, (data[:200], answer[:500])


@pytest.mark.usefixtures("bounded")
async def test_bytes_that_are_hardly_http_harm_nobody(target: Target, share: float) -> None:
    for _ in range(max(1, int(share * ROUNDS))):
        await asyncio.gather(*(raw(target, data) for data in RAW))


@pytest.mark.hostile
@pytest.mark.timeout(WHOLE[1].args[0])
async def test_bodies_that_stop_coming_are_ended(target: Target) -> None:
    async def slow() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n{")
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(1 << 16), 120)
        writer.close()
        return answer

    for answer in await asyncio.gather(*(slow() for _ in range(100))):
        assert answer.startswith(b"HTTP/1.1 408"), answer
        target.tally[408] += 1
