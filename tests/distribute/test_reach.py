"""A TPU that cannot be reached is refused in a sentence and in time."""

import socket
import threading
import time

import pytest

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.distribute import reach
from simsiam_tf.distribute.strategy import make_strategy
from simsiam_tf.errors import UsageError

REFUSED = r"^--tpu must name a TPU that can be reached \({}[^\n]*\)\. Received: '{}'\.$"


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(reach, "_SECONDS", 0.5)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("no_grpc_proxy", raising=False)


@pytest.fixture
def server():
    """A server that says what it is told to, if anything, to whoever connects."""
    listening = socket.create_server(("127.0.0.1", 0))
    held = []

    def start(answer):
        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                held.append(connection)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield start
    listening.close()
    for connection in held:
        connection.close()


def refused(tpu, reason):
    start = time.monotonic()
    with pytest.raises(UsageError, match=REFUSED.format(reason, tpu)):
        make_strategy(DeviceConfig(tpu=tpu))
    assert time.monotonic() - start < 30


def test_a_host_that_is_not_there():
    refused("grpc://127.0.0.1:1", "no server answers at 127.0.0.1:1: Connection refused")


def test_the_second_host_is_asked_too(server):
    settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    refused(f"grpc://{server(settings)},grpc://127.0.0.1:1", "no server answers at 127.0.0.1:1: Connection refused")


def test_a_host_that_says_nothing(server):
    address = server(b"")
    refused(f"grpc://{address}", f"no server answers at {address}: timed out")


def test_a_host_that_is_no_server_of_tensorflow(server):
    address = server(b"SSH-2.0-OpenSSH_9.6\r\n")
    refused(f"grpc://{address}", f"what answers at {address} is no TensorFlow server")


def test_a_name_needs_google_s_packages(monkeypatch):
    monkeypatch.setattr(reach, "_CLIENT_PACKAGES", {"no_such_module": "no-such-package"})
    refused("pod", "a name needs no-such-package; install requirements-tpu.txt")


def test_a_name_outside_of_google_s_cloud(monkeypatch, server):
    """TensorFlow asks the machine that knows the project, which is not there, or does not answer."""
    monkeypatch.setattr(reach, "_CLIENT_PACKAGES", {})
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    refused("pod", "<urlopen error .*Connection refused>")
    monkeypatch.setenv("GCE_METADATA_HOST", server(b""))
    refused("pod", "timed out")
    assert socket.getdefaulttimeout() is None
