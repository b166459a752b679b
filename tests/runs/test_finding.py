"""Runs are found wherever they are, and what is none of them is said in one line."""

import fcntl
import os
import shutil

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.runs.finding import find_runs
from simsiam_tf.runs.known_run import KnownRun, name_of
from tests.conftest import ROOT
from tests.runs.made import epoch, made_config, made_run, made_transfer


def names(found, root):
    return [str(run.root.relative_to(root)) for run in found.runs]


def test_runs_are_found_in_folders_and_in_folders_of_folders(tmp_path):
    made_run(tmp_path / "b")
    made_run(tmp_path / "old" / "a")
    made_transfer(tmp_path / "detector")
    made_run(tmp_path / "1/2/3/4")
    made_run(tmp_path / "1/2/3/x/5")  # too deep
    made_run(tmp_path / ".hidden")
    made_run(tmp_path / "b" / "in_a_run")
    found = find_runs([str(tmp_path)])
    assert names(found, tmp_path) == ["1/2/3/4", "b", "detector", "old/a"]
    assert found.refused == []
    assert found.looked_at == 10
    assert names(find_runs([str(tmp_path / "b")]), tmp_path) == ["b"]


def test_a_run_that_links_lead_to_is_found_once(tmp_path):
    run = made_run(tmp_path / "disk" / "run")
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "linked").symlink_to(run)
    (runs / "loop").symlink_to(runs)
    (runs / "self").symlink_to("self")
    found = find_runs([str(runs), str(run), str(runs)])
    assert names(found, runs) == ["linked"]


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in ("nowhere", "file"):
        with pytest.raises(
            UsageError, match=f"must be the folder of a run, or one that holds runs. Received: .*{path}"
        ):
            find_runs([str(tmp_path / path)])


def foreign(run):
    (run / "config.json").write_text('{"architectures": ["ResNet"], "hidden_size": 3}')


def damaged(run):
    (run / "config.json").write_bytes(b'{"format": 2, "conf')


def without_config(run):
    (run / "config.json").unlink()


def newer(run):
    (run / "config.json").write_text('{"format": 99, "config": {}}')


def pipe_of_config(run):
    (run / "config.json").unlink()
    os.mkfifo(run / "config.json")


def pipe_of_metrics(run):
    (run / "metrics.jsonl").unlink()
    os.mkfifo(run / "metrics.jsonl")


def not_finite(run):
    (run / "summary.json").write_text('{"loss": {"value": NaN}}')


def list_of_summary(run):
    (run / "summary.json").write_text("[1]")


def derived(run):
    text = (run / "config.json").read_text().rstrip()[:-1]
    (run / "config.json").write_text(text + ', "resolved": {"steps_per_epoch": "many"}}')


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (foreign, "config.json must be one that train.py wrote"),
        (damaged, "config.json must be one that train.py wrote"),
        (without_config, "must have a config.json"),
        (newer, "config.json is of format 99"),
        (pipe_of_config, "config.json in --workdir must be a file"),
        (pipe_of_metrics, "metrics.jsonl in --workdir must be a file"),
        (not_finite, "summary.json must be one that train.py wrote"),
        (list_of_summary, "summary.json must be one that train.py wrote"),
        (derived, "config.json must be one that train.py wrote"),
    ],
)
def test_what_cannot_be_opened_is_told_with_the_reason_and_the_others_are_found(tmp_path, change, words):
    change(made_run(tmp_path / "a"))
    made_run(tmp_path / "b")
    found = find_runs([str(tmp_path)])
    assert names(found, tmp_path) == ["b"]
    ((path, reason),) = found.refused
    assert path == tmp_path / "a"
    assert words in reason


def test_a_damaged_line_of_metrics_is_left_out(tmp_path):
    run = made_run(tmp_path / "run", lines=[epoch(1, knn_top1=20.0), epoch(2, knn_top1=30.0)])
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "step": 12, "loss": NaN}\n[[[[\n{"epo')
    (found,) = find_runs([str(run)]).runs
    assert found.best("knn_top1") == 30.0
    assert found.state == "epoch 2 of 10"


@pytest.mark.parametrize(
    ("lines", "records", "state"),
    [
        ([], {}, "epoch 0 of 10"),
        ([epoch(0)], {}, "epoch 0 of 10"),
        ([epoch(3, state="healthy")], {}, "epoch 3 of 10"),
        ([epoch(3, state="diverging")], {}, "epoch 3 of 10, diverging"),
        ([epoch(3, state="\x1b[31m")], {}, "epoch 3 of 10"),
        ([epoch(10, state="healthy")], {"loss": -0.9}, "finished"),
        ([epoch(10, state="collapsed to a point")], {"loss": -0.9}, "finished, collapsed to a point"),
        ([epoch(3, state="not learning")], {"stopped": "not learning"}, "stopped: not learning, epoch 3 of 10"),
        ([], {"converted": "x"}, "converted weights"),
    ],
)
def test_the_state_says_how_far_a_run_is_and_how_it_does(tmp_path, lines, records, state):
    assert KnownRun.read(made_run(tmp_path / "run", lines=lines, **records)).state == state


def test_a_run_that_is_trained_now_is_running_and_one_with_a_bad_step_has_stopped(tmp_path):
    run = made_run(tmp_path / "run", lines=[epoch(2)])
    (run / "bad_step").mkdir()
    (run / "bad_step" / "step.json").write_text('{"step": 9}')
    assert KnownRun.read(run).state == "stopped: a number was not finite, epoch 2 of 10"
    with (run / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert KnownRun.read(run).state == "epoch 2 of 10, running"
    (run / "bad_step" / "step.json").write_text('{"step": 7}')  # steps were trained since
    assert KnownRun.read(run).state == "epoch 2 of 10"
    (run / "bad_step" / "step.json").write_text("[]")
    assert KnownRun.read(run).state == "epoch 2 of 10"


def test_a_run_of_transfer_counts_steps_and_has_average_precision(tmp_path):
    lines = [{"epoch": i, "step": i, "loss": 1.0, "box_ap": 10.0 * i} for i in (1, 2)]
    run = KnownRun.read(made_transfer(tmp_path / "run", lines=lines[:1]))
    assert run.state == "step 1 of 2"
    assert run.is_transfer
    run = KnownRun.read(made_transfer(tmp_path / "run", lines=lines, loss=1.0, box_ap=20.0))
    assert (run.state, run.best("box_ap"), run.best("knn_top1")) == ("finished", 20.0, None)


def test_the_best_numbers_are_of_any_epoch_and_of_evaluations_on_the_own_data(tmp_path):
    lines = [epoch(0, knn_top1=99.0), epoch(1, knn_top1=40.0, images_per_second=5.0), epoch(2, knn_top1=30.0)]
    run = KnownRun.read(made_run(tmp_path / "run", lines=lines, knn_top1=30.0, online_probe_top1=70.0))
    assert run.best("knn_top1") == 40.0  # the untrained network does not count
    assert run.linear == ("online_probe_top1", 70.0)
    assert run.latest("images_per_second") == 5.0
    others = {"linear_cached_top1": 50.0, "linear_sgd_top1": 55.0, "linear_sgd_top5": 90.0, "linear_sgd_top1_x": 99.0}
    run = KnownRun.read(made_run(tmp_path / "run", lines=lines, knn_top1=45.0, online_probe_top1=70.0, **others))
    assert run.best("knn_top1") == 45.0
    assert run.linear == ("linear_sgd_top1", 55.0)
    assert KnownRun.read(made_run(tmp_path / "new")).linear is None


def test_a_folder_of_images_is_named(tmp_path):
    run = KnownRun.read(made_run(tmp_path / "run", made_config(dataset="folder", data_dir="/data/photos")))
    assert run.data_set == "folder photos"


def test_runs_of_an_older_version_are_read(tmp_path):
    shutil.copytree(ROOT / "tests/fixtures/run_dc5c22e", tmp_path / "old")
    assert len(find_runs([str(tmp_path)]).runs) == 4


def test_names_are_as_one_would_type_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_of(tmp_path / "runs/a") == "runs/a"
    assert name_of(tmp_path) == str(tmp_path)
    assert name_of(tmp_path.parent / "b") == str(tmp_path.parent / "b")


def test_runs_in_a_bucket_are_found(gcs, tmp_path):
    made_run(tmp_path / "run", lines=[epoch(1, knn_top1=20.0)])
    gcs.upload(tmp_path / "run", "runs/deep/run")
    found = find_runs([f"{gcs.address}/runs"])
    assert [str(run.root) for run in found.runs] == [f"{gcs.address}/runs/deep/run"]
    assert found.runs[0].best("knn_top1") == 20.0
