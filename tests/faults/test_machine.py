"""Faults of the machine: a clock that is set back, too little memory, a second run in one folder, a lost chief."""

import json
import signal

import pytest

from tests.e2e.test_replicas import start_workers, train, wait_for
from tests.faults.commands import left_behind, values
from tests.faults.test_kills import lines, train_flags, whole  # noqa: F401 - a fixture

pytestmark = pytest.mark.faults


def test_a_clock_that_is_set_back_changes_nothing(server, photos, whole, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    server.run("train", train_flags(photos, run), faults={"set_clock_back": [3600]}).finish()
    assert values(run, "weights_sha256") == values(whole[0], "weights_sha256")
    assert lines(run) == lines(whole[0])
    times = [json.loads(line)["wall_seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert times == sorted(times)
    assert times[0] >= 0


def test_a_step_that_does_not_fit_says_which_batch_failed(server, photos, tmp_path):
    failed = server.run("train", train_flags(photos, tmp_path / "run"), faults={"have_no_memory": []})
    assert failed.code == 1, failed.said
    assert "error: A replica has too little memory for 8 images at a time; lower --global_batch_size" in failed.err
    assert "(--accumulate_steps=2 asks for 4 at a time)" in failed.err
    assert "Traceback" not in failed.err
    assert left_behind(tmp_path / "run") == []


def test_a_run_that_cannot_fit_into_this_machine_is_refused_before_it_starts(server, photos, tmp_path):
    flags = [*train_flags(photos, tmp_path / "run"), "--image_size=8192", "--global_batch_size=8192"]
    refused = server.run("train", flags)
    assert refused.code == 2, refused.said
    assert "error: The run must fit into the free memory, " in refused.err
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_second_run_in_a_folder_is_refused_and_the_first_goes_on(server, photos, whole, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    first = server.start("train", train_flags(photos, run))
    first.wait_for((run / "config.json").exists)
    second = server.run("train", train_flags(photos, run))
    assert second.code == 2, second.said
    assert second.err.count("error: ") == 1
    assert f"error: Another process is training in --workdir (process {first.pid} on " in second.err
    first.finish()
    assert values(run, "weights_sha256") == values(whole[0], "weights_sha256")


def test_a_chief_that_is_lost_and_comes_back(tmp_path):
    flags = ["--max_examples=64", "--epochs=40", "--knn_every_epochs=0"]
    whole_run, folder = tmp_path / "whole", tmp_path / "run"
    train(whole_run, "workers", *flags)
    processes = start_workers(folder, *flags)
    wait_for(processes, lambda: (folder / "0" / "checkpoints" / "step-12.index").exists(), folder)
    processes[0].send_signal(signal.SIGKILL)
    assert processes[1].wait(timeout=300) == 1
    said = (folder / "1.log").read_text()
    assert said.count("error: Another worker has stopped") == 1
    assert "Traceback" not in said
    train(folder, "workers", *flags)
    assert values(folder / "0", "weights_sha256") == values(whole_run / "0", "weights_sha256")
    assert left_behind(folder / "0") == []
