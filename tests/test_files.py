"""Paths that users type."""

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand, expand_several, parse_json
from tests.conftest import run_script


@pytest.mark.parametrize(
    "path",
    [
        "gs://bucket/run",
        "gs:/bucket/run",
        " gs://bucket",
        "GS://bucket",
        "s3://bucket",
        "file:///tmp/run",
        "ram://run",
        "https://a.b/c",
    ],
)
def test_addresses_are_no_paths(path):
    with pytest.raises(UsageError, match="give a path without an address in front"):
        expand(path)
    with pytest.raises(UsageError, match="without an address"):
        expand_several(f"/tmp,{path}")


def test_paths_with_colons_are_paths():
    for path in ("/runs/a:b", "/runs/16:9//x", "/x://y"):
        assert expand(path).startswith("/")


@pytest.mark.parametrize("flag", ["workdir", "data_dir", "index_dir"])
def test_a_command_refuses_an_address_and_makes_no_folder_of_its_name(flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = {"dataset": "folder", "data_dir": tmp_path, "workdir": tmp_path / "run", flag: "gs://bucket/x"}
    done = run_script("train.py", *(f"--{name}={value}" for name, value in flags.items()))
    assert done.returncode == 2
    assert "without an address in front. Received: gs://bucket/x." in done.stderr
    assert not list(tmp_path.glob("gs*"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_not_finite_are_no_json(number):
    with pytest.raises(ValueError, match="which is not finite"):
        parse_json(f'{{"a": [1, {number}]}}'.encode())


def test_numbers_are_read_as_they_are_written():
    assert parse_json(b"[1, -2.5, 1e300, 0.1, 123456789012345678901]") == [1, -2.5, 1e300, 0.1, 123456789012345678901]
