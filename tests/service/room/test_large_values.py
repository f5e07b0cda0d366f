"""Large values from Redis are what was written, wherever the socket cuts them; a broken one is an error."""

import socket
import threading

import numpy as np
import pytest
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.retry import Retry

from service.settings import Settings
from service.store.connection import connect_for_threads, raw
from service.store.large_values import LARGE_BYTES

SIZES = (0, 1, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, 3 * LARGE_BYTES + 7, 5 << 20)


def test_values_of_all_sizes_come_back_in_any_company(settings: Settings) -> None:
    values = [np.random.default_rng(size).bytes(size) for size in SIZES]
    assert settings.tiles_url is not None
    with connect_for_threads(settings.tiles_url) as client:
        fields = {str(number): value for number, value in enumerate(values)}
        client.hset("large", mapping=fields)  # pyright: ignore[reportArgumentType]
        client.expire("large", 60)
        names = [*fields, "none", *reversed(fields)]
        found = raw(client.hmget("large", names))
        assert [None if value is None else bytes(value) for value in found] == [
            *values, None, *reversed(values)
        ]  # fmt: skip
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget("large", name)
            together = pipe.execute()
        assert [None if value is None else bytes(value) for value in together] == [
            *values, None, *reversed(values)
        ]  # fmt: skip
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            client.get("large")
        assert client.hget("large", "1") == values[1]


def test_a_value_that_breaks_off_is_an_error_and_the_next_command_connects_anew() -> None:
    size = 4 * LARGE_BYTES

    def serve(listener: socket.socket) -> None:
        for sent in (size // 2, size + 2):
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as asked:
                # redis-py names itself first; what is asked for is the command behind that.
                while (line := asked.readline()) and b"KEY" not in line:
                    if b"CLIENT" in line or b"SELECT" in line:
                        connection.sendall(b"+OK\r\n")
                body = b"$%d\r\n" % size + b"x" * size + b"\r\n"
                connection.sendall(body[: len(body) - size - 2 + sent])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        pool = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        with connect_for_threads(pool) as client:
            client.set_retry(Retry(NoBackoff(), 0))
            with pytest.raises(RedisConnectionError, match="closed"):
                client.get("KEY")
            value = client.get("KEY")
            assert isinstance(value, memoryview)
            assert bytes(value) == b"x" * size
        server.join(30)
        assert not server.is_alive()
