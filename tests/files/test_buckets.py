"""Buckets: what is asked of them, and what they answer."""

import threading
import time
import types

import pytest
import tensorflow as tf

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
    is_refusal,
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
    gcs.fail(Fault(0, seconds=30))
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match="does not answer; check the network"):
        check_bucket(as_path(f"{gcs.address}/runs/a"))
    assert time.monotonic() - begun < 20  # far from both, for a machine that is busy


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


def test_a_bucket_that_answers_is_asked_for_what_others_wrote_meanwhile(gcs, tmp_path):
    path = as_path(f"{gcs.address}/run/a.json")
    write_text(path, "0123456789")
    assert exists(path) and read_text(path) == "0123456789"
    for text in ("another text that is longer", "short"):
        (tmp_path / "a.json").write_text(text)
        gcs.upload(tmp_path, "run")
        assert read_text(path) == text


def test_errors_of_another_kind_are_not_those_of_the_network():
    errors = tf.errors
    assert explain(errors.DataLossError(None, None, "corrupted record at 12 in gs://b/x")) is None
    assert explain(errors.InvalidArgumentError(None, None, "gs://b/x")) is None
    assert explain(errors.ResourceExhaustedError(None, None, "/tmp/x; No space left on device (to gs://b/x)")) is None
    assert "cannot be reached" in explain(errors.UnavailableError(None, None, "All 10 retry attempts failed, gs://b"))
    text = "libcurl code 6 meaning 'Could not resolve hostname' when reading gs://b/x"
    assert "cannot be reached" in explain(errors.FailedPreconditionError(None, None, text))
    missing = errors.NotFoundError(None, None, "HTTP response code 404 when reading gs://b/x")
    assert explain(missing) and not is_refusal(missing)
    assert is_refusal(errors.PermissionDeniedError(None, None, "HTTP response code 403 when reading gs://b/x"))


@pytest.mark.parametrize("left", [0.05, -1.0])
def test_all_requests_of_a_check_are_waited_for_together(monkeypatch, left):
    now, released = [100.0], threading.Event()
    monkeypatch.setattr(buckets, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    with buckets.answering(as_path("gs://bucket/runs/a")) as call:
        assert call(lambda: 7) == 7
        now[0] += buckets._SECONDS - left  # the first request took nearly all of the time, or more
        with pytest.raises(ConnectionError, match=r"does not answer; .*Received: gs://bucket/runs/a\."):
            call(lambda: released.wait(20))
    released.set()


def test_the_first_look_at_a_bucket_is_not_waited_for_either(gcs, monkeypatch):
    monkeypatch.setattr(buckets, "_SECONDS", 0.2)
    gcs.fail(Fault(0, seconds=1))
    for look in (exists, read_text):
        with pytest.raises(ConnectionError, match="does not answer"):
            look(as_path(f"{gcs.address}/runs/a"))
