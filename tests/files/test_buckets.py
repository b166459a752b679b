"""Buckets: what is asked of them, and what they answer."""

import time

import pytest

from simsiam_tf.cli import failures
from simsiam_tf.files import (
    append_text,
    as_path,
    buckets,
    check_bucket,
    check_folder,
    exists,
    explain,
    is_file,
    is_folder,
    read_text,
    write_text,
)
from tests.fake_gcs import Fault


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    monkeypatch.setattr(buckets, "_reached", set())


def test_a_bucket_that_answers_is_asked_once(gcs):
    check_bucket(as_path(f"{gcs.address}/runs/a"))
    asked = len(gcs.requests())
    check_bucket(as_path(f"{gcs.address}/runs/b"))
    assert len(gcs.requests()) == asked > 0


def test_paths_of_this_machine_are_not_asked_for(gcs, tmp_path):
    check_bucket(tmp_path)
    assert not gcs.requests()


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "does not know who asks"), (403, "refuses"), (412, "refuses")],
)
def test_what_a_bucket_answers_is_one_sentence(gcs, status, words):
    gcs.fail(Fault(status))
    with pytest.raises(ConnectionError, match=words) as failed:
        check_bucket(as_path(f"{gcs.address}/runs/a"))
    assert str(failed.value).endswith(f"Received: {gcs.address}/runs/a.")
    assert "\n" not in str(failed.value)


def test_a_bucket_that_does_not_exist(gcs):
    with pytest.raises(ConnectionError, match=r"does not exist. Received: gs://another-bucket.$"):
        check_bucket(as_path("gs://another-bucket/runs/a"))
    with pytest.raises(ConnectionError, match="does not exist"):
        check_folder(as_path("gs://another-bucket/runs/a"))


def test_an_account_that_may_not_see_the_bucket_may_read_its_files(gcs):
    gcs.fail(Fault(403, path=r"^/storage/v1/b/[^/]+$"))
    check_bucket(as_path(f"{gcs.address}/runs/a"))


def test_a_bucket_that_is_not_written_to(gcs):
    gcs.fail(Fault(403, writing=True))
    with pytest.raises(ConnectionError, match=r"refuses .*Received: gs://.*/runs/a/.write_test_"):
        check_folder(as_path(f"{gcs.address}/runs/a"))
    gcs.fail()
    check_folder(as_path(f"{gcs.address}/runs/a"))
    assert not gcs.names()


def test_a_bucket_that_does_not_answer_is_not_waited_for(gcs, monkeypatch):
    monkeypatch.setattr(buckets, "_SECONDS", 0.5)
    gcs.fail(Fault(0, seconds=3))
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match="does not answer; check the network"):
        check_bucket(as_path(f"{gcs.address}/runs/a"))
    assert time.monotonic() - begun < 2


def test_a_bucket_that_is_busy_now_and_then_is_asked_again(gcs):
    gcs.fail(Fault(503, times=2))
    write_text(as_path(f"{gcs.address}/a"), "text")
    assert read_text(as_path(f"{gcs.address}/a")) == "text"


@pytest.mark.parametrize("work", [lambda p: write_text(p, "x"), lambda p: append_text(p, "x")])
def test_errors_of_later_requests_are_one_sentence_too(gcs, work):
    gcs.fail(Fault(403, writing=True))
    with pytest.raises(Exception) as failed:
        work(as_path(f"{gcs.address}/runs/summary.json"))
    said = failures.sentence(failed.value)
    assert said.startswith("The bucket refuses")
    assert said.endswith(f"Received: {gcs.address}/runs/summary.json.")


def test_other_errors_are_not_those_of_a_bucket():
    assert explain(ValueError("gs://bucket")) is None
    assert explain(FileNotFoundError(2, "No such file or directory", "a")) is None


def test_files_and_folders_are_told_apart(gcs):
    path = as_path(f"{gcs.address}/a/b/c.txt")
    assert not exists(path)
    write_text(path, "x")
    assert exists(path) and is_file(path) and not is_folder(path)
    assert exists(path.parent) and is_folder(path.parent) and not is_file(path.parent)
    assert not is_file(as_path(f"{gcs.address}/a/b/c"))
