"""Where the service may listen: without API keys on this machine only, unless told otherwise."""

import errno
import ipaddress
import socket

from service.errors import StartError
from service.logs import get_logger
from service.settings import Settings
from service.store import keys

log = get_logger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """The API's socket, bound before anything is started and kept when the API is restarted.

    Raises StartError when the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Connections inherit it. Without it the body of a short answer waits until the client
            # has acknowledged the head, for which clients take 40 ms.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind((host, port))
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        advice = {
            errno.EADDRINUSE: "is another service there? Choose another one with --port",
            errno.EACCES: "ports below 1024 are not for everyone; choose another one with --port",
        }.get(error.errno or 0, "--host must be an address of this machine")
        raise StartError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; {advice}"
        ) from error
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach the socket; one without an IP address is a file here."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def may_be_open(settings: Settings, listener: socket.socket) -> bool:
    """Whether requests without a key are answered as long as no key exists."""
    return settings.insecure_open or is_loopback(listener)


def keys_exist(url: str) -> bool:
    """Whether a key was ever made on the queue's Redis at `url`.

    Redis need not be there yet: then False, and every request asks again.
    """
    # Where it is asked late or not at all, it should not hold up the start of everything else.
    from redis import Redis
    from redis.exceptions import RedisError

    with Redis.from_url(url, socket_timeout=5) as client:
        try:
            return bool(client.exists(keys.API_KEYS))
        except (RedisError, OSError):
            log.warning("the queue's Redis cannot be asked for API keys", exc_info=True)
            return False


def refuse_exposure(settings: Settings, listener: socket.socket) -> None:
    """Raises StartError when others could reach a service that asks nobody for a key."""
    if may_be_open(settings, listener) or keys_exist(settings.redis_url or ""):
        return
    raise StartError(
        f"there are no API keys, and {listener.getsockname()[0]} can be reached from other "
        "machines; make a key first (`python -m service keys create`), listen on 127.0.0.1, or set "
        "GRAMD_INSECURE_OPEN=1 if everyone who can reach it may use it"
    )
