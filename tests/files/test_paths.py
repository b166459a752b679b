"""Paths that users type."""

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand, expand_several, is_below, is_in_bucket, parse_json, user_path
from tests.conftest import run_script


@pytest.mark.parametrize(
    "path",
    [
        "gs:/bucket/run",
        "gs:bucket/run",
        "gs:\\\\bucket\\run",
        "GS://bucket",
        "s3://bucket",
        "file:///tmp/run",
        "ram://run",
        "https://a.b/c",
    ],
)
def test_other_addresses_are_no_paths(path):
    for text in (path, f" {path}", " gs://bucket"):
        with pytest.raises(UsageError, match="begin with gs://"):
            expand(text)
    with pytest.raises(UsageError, match="begin with gs://"):
        expand_several(f"/tmp,{path}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gs://bucket/run", "gs://bucket/run"),
        ("gs://bucket", "gs://bucket"),
        ("gs://bucket//a/./b/", "gs://bucket/a/b"),
        ("gs://bucket/a/../../../b c", "gs://bucket/b c"),
    ],
)
def test_an_address_in_a_bucket_stays_one(typed, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expand(typed) == str(user_path(typed)) == meant
    assert str(user_path(typed) / "x") == f"{meant}/x"
    assert is_in_bucket(user_path(typed))


@pytest.mark.parametrize(
    "address", ["gs://", "gs:///a", "gs://B/a", "gs://bucket/lr[0.1]", "gs://bucket/a*", "gs://b/a"]
)
def test_addresses_that_no_bucket_has(address):
    with pytest.raises(UsageError, match="bucket"):
        expand(address)


def test_what_is_below_a_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert is_below(f"{tmp_path}/link/x", f"{tmp_path}/a")
    assert is_below("gs://bucket/a/b", "gs://bucket/a")
    assert not is_below("gs://bucket/ab", "gs://bucket/a")
    assert not is_below("gs://bucket/a", f"{tmp_path}/a")


def test_paths_with_colons_are_paths():
    for path in ("/runs/a:b", "/runs/16:9//x", "/x://y"):
        assert expand(path).startswith("/")


@pytest.mark.parametrize(
    "flag", ["workdir", *(pytest.param(f, marks=pytest.mark.slow) for f in ("data_dir", "index_dir"))]
)
def test_a_command_refuses_an_address_and_makes_no_folder_of_its_name(flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = {"dataset": "folder", "data_dir": tmp_path, "workdir": tmp_path / "run", flag: "s3://bucket/x"}
    done = run_script("train.py", *(f"--{name}={value}" for name, value in flags.items()))
    assert done.returncode == 2
    assert "begin with gs://, the address of a bucket. Received: s3://bucket/x." in done.stderr
    assert not list(tmp_path.glob("s3*"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_not_finite_are_no_json(number):
    with pytest.raises(ValueError, match="which is not finite"):
        parse_json(f'{{"a": [1, {number}]}}'.encode())


def test_numbers_are_read_as_they_are_written():
    assert parse_json(b"[1, -2.5, 1e300, 0.1, 123456789012345678901]") == [1, -2.5, 1e300, 0.1, 123456789012345678901]
