"""The forms of --tpu."""

import pytest

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.errors import UsageError


@pytest.mark.parametrize(
    ("tpu", "addresses"),
    [
        ("", []),
        ("local", []),
        ("pod-1", []),
        ("grpc://10.0.0.2:8470", ["10.0.0.2:8470"]),
        ("grpc://10.0.0.2:8470,grpc://host-b.internal:8471", ["10.0.0.2:8470", "host-b.internal:8471"]),
    ],
)
def test_names_and_addresses(tpu, addresses):
    assert DeviceConfig(tpu=tpu).tpu_addresses == addresses


@pytest.mark.parametrize(
    "tpu",
    [
        "grpc://",
        "grpc://a",
        "grpc://a:0",
        "grpc://a:65536",
        "grpc://a:b",
        "grpc://[::1]:8470",
        "grpc://a:8470,",
        "grpc://a:8470, grpc://b:8470",
        "grpc://a:8470,b:8470",
        "grpc://a:8470,grpc://a:8470",
        "http://a:8470",
        "a:8470",
        "pod,pod",
        "pod ",
        "projects/p/pod",
    ],
)
def test_malformed_lists_are_refused(tpu):
    with pytest.raises(UsageError, match=r"^--tpu must be the name of a TPU, local, or [^\n]* Received: '[^\n]*'\.$"):
        DeviceConfig(tpu=tpu)
