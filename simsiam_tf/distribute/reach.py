"""Finds out whether a TPU can be reached, before TensorFlow tries to, which waits for minutes where nothing answers."""

import contextlib
import importlib.util
import os
import socket
from collections.abc import Iterator, Sequence

# How long an answer may take.
_SECONDS = 20.0
# How a client of HTTP/2, which gRPC is made of, begins: a fixed text, and a frame of type 4 without any settings.
_SETTINGS = 4
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])
# The variable with the hosts that gRPC reaches without a proxy. Where it is not set, gRPC reads no_proxy.
_WITHOUT_PROXY = "no_grpc_proxy"
# The packages by which TensorFlow asks Google's cloud for the addresses of a TPU.
_CLIENT_PACKAGES = {"googleapiclient": "google-api-python-client", "oauth2client": "oauth2client"}


def check_google_client() -> None:
    """Checks that the packages are installed by which TensorFlow finds the hosts of a TPU that is given by its name.

    Raises:
        ImportError: if they are not.
    """
    missing = [package for module, package in _CLIENT_PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(f"a name needs {' and '.join(missing)}; install requirements-tpu.txt")


@contextlib.contextmanager
def limited_waiting() -> Iterator[None]:
    """Limits how long each request of Python's waits for an answer, inside a `with` block.

    TensorFlow asks Google's cloud without any limit.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def check_servers(addresses: Sequence[str]) -> None:
    """Checks that a server of gRPC answers at each address, and lets TensorFlow go there without a proxy.

    The hosts of a TPU are in one network. TensorFlow would go through the proxy that http_proxy or https_proxy names,
    and wait there.

    Args:
        addresses: the addresses as HOST:PORT.

    Raises:
        ConnectionError: if one does not answer.
    """
    for address in addresses:
        _check_server(address)
    known = os.environ.get(_WITHOUT_PROXY) or os.environ.get("no_proxy", "")
    os.environ[_WITHOUT_PROXY] = ",".join(filter(None, [known, *(a.rpartition(":")[0] for a in addresses)]))


def _check_server(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _SECONDS) as connection:
            connection.sendall(_GREETING)
            answer = b""
            while len(answer) < 4 and (part := connection.recv(4 - len(answer))):
                answer += part
    except OSError as error:
        raise ConnectionError(f"no server answers at {address}: {error.strerror or error}") from error
    if len(answer) < 4 or answer[3] != _SETTINGS:  # a server of HTTP/2 begins with its settings
        raise ConnectionError(f"what answers at {address} is no TensorFlow server")
