"""Runs are sent to Weights & Biases and MLflow, here to modules that only note what they are told."""

import json
import sys
import types

import pytest

from simsiam_tf.callbacks.trackers import MLflowTracker, WandbTracker, check_tracker, closing
from simsiam_tf.errors import Stopped, UsageError

LINES = [{"epoch": 0, "step": 0, "knn_top1": 10.0, "state": "healthy"}, {"epoch": 1, "step": 4, "loss": -0.5}]
SETTINGS = {"epochs": 2, "blur_p": [1.0, 0.1], "recipe": "custom"}


@pytest.fixture
def mlflow(monkeypatch):
    """A module in place of MLflow; returns the list of its calls."""
    calls = []

    def note(name, result=None):
        return lambda *given, **named: calls.append((name, *given, *named.values())) or result

    fake = types.ModuleType("mlflow")
    fake.start_run = note("start", types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc")))
    for name, told in (("log_params", "params"), ("log_metrics", "metrics"), ("set_tags", "tags"), ("end_run", "end")):
        setattr(fake, name, note(told))
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return calls


@pytest.fixture
def wandb(monkeypatch):
    """A module in place of Weights & Biases; returns what it was told."""
    told = {"init": [], "log": [], "summary": {}, "finish": []}

    def init(**options):
        told["init"].append(options)
        return types.SimpleNamespace(
            id=options["id"] or "xyz",
            log=lambda values, step: told["log"].append((step, values)),
            summary=told["summary"],
            finish=lambda exit_code: told["finish"].append(exit_code),
        )

    fake = types.ModuleType("wandb")
    fake.init, fake.Settings = init, dict
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return told


def mlflow_tracker(root, lines=LINES[:1], settings=SETTINGS):
    return MLflowTracker(root, settings, 4, lambda: lines)


def test_mlflow_gets_settings_epochs_and_results(mlflow, tmp_path):
    tracker = mlflow_tracker(tmp_path)
    tracker.on_train_begin()
    tracker.on_epoch_end(0, {"loss": -0.5})
    tracker.finish({"loss": -0.5, "recipe": "custom", "export": None, "is": True})
    assert mlflow == [
        ("start", None, tmp_path.name),
        ("params", SETTINGS),
        ("metrics", {"knn_top1": 10.0}, 0),
        ("metrics", {"loss": -0.5}, 4),
        ("metrics", {"results/loss": -0.5}),
        ("tags", {"recipe": "custom"}),
        ("end", "FINISHED"),
    ]
    assert json.loads((tmp_path / "tracked.json").read_text()) == {"mlflow": "abc"}


def test_a_resumed_run_goes_on_as_the_same_tracked_run(mlflow, tmp_path):
    mlflow_tracker(tmp_path).on_train_begin()
    del mlflow[:]
    tracker = mlflow_tracker(tmp_path, LINES)
    tracker.on_train_begin()
    tracker.on_epoch_end(1, {"loss": -0.6})
    assert mlflow == [("start", "abc", None), ("metrics", {"loss": -0.6}, 8)]


def test_a_run_that_is_tracked_from_its_middle_on_sends_the_earlier_epochs(mlflow, tmp_path):
    (tmp_path / "tracked.json").write_text('{"wandb": "xyz"}')
    mlflow_tracker(tmp_path, LINES).on_train_begin()
    assert mlflow[2:] == [("metrics", {"knn_top1": 10.0}, 0), ("metrics", {"loss": -0.5}, 4)]
    assert json.loads((tmp_path / "tracked.json").read_text()) == {"wandb": "xyz", "mlflow": "abc"}


def test_mlflow_gets_at_most_a_hundred_settings_at_a_time(mlflow, tmp_path):
    mlflow_tracker(tmp_path, settings={str(i): i for i in range(205)}).on_train_begin()
    assert [len(call[1]) for call in mlflow if call[0] == "params"] == [100, 100, 5]


def test_wandb_gets_settings_epochs_and_results_and_resumes(wandb, tmp_path):
    tracker = WandbTracker(tmp_path, SETTINGS, 4, lambda: LINES[:1])
    tracker.on_train_begin()
    tracker.on_epoch_end(0, {"loss": -0.5})
    tracker.close(143)
    tracker = WandbTracker(tmp_path, SETTINGS, 4, lambda: LINES)
    tracker.on_train_begin()
    tracker.on_epoch_end(1, {"loss": -0.6})
    tracker.finish({"loss": -0.6, "recipe": "custom"})
    first, second = wandb["init"]
    assert (first["id"], first["config"], first["dir"]) == (None, SETTINGS, str(tmp_path))
    assert first["project"] == "simsiam_tf" and first["settings"] == {"console": "off"}
    assert (second["id"], second["config"], second["resume"]) == ("xyz", None, "allow")
    assert wandb["log"] == [(0, {"knn_top1": 10.0}), (4, {"loss": -0.5}), (8, {"loss": -0.6})]
    assert wandb["summary"] == {"loss": -0.6, "recipe": "custom"}
    assert wandb["finish"] == [143, 0]


@pytest.mark.parametrize("failing", ["start_run", "log_params", "log_metrics"])
def test_a_tracker_that_fails_warns_once_and_does_nothing_more(mlflow, tmp_path, caplog, monkeypatch, failing):
    def refuse(*args, **kwargs):
        mlflow.append("refused")
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(sys.modules["mlflow"], failing, refuse)
    tracker = mlflow_tracker(tmp_path)
    tracker.on_train_begin()
    for epoch in range(3):
        tracker.on_epoch_end(epoch, {"loss": -0.5})
    tracker.finish({"loss": -0.5})
    assert mlflow[-1] == "refused" and mlflow.count("refused") == 1
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("MLflow failed (ConnectionError: no route). The run goes on, and nothing more is sent there")


@pytest.mark.parametrize(("error", "status"), [(Stopped("x", 143), "KILLED"), (FloatingPointError("x"), "FAILED")])
def test_a_run_that_ends_early_is_closed_as_such(mlflow, tmp_path, error, status):
    tracker = mlflow_tracker(tmp_path)
    with pytest.raises(type(error)), closing(tracker):
        tracker.on_train_begin()
        raise error
    assert mlflow[-1] == ("end", status)
    del mlflow[:]
    with pytest.raises(type(error)), closing(mlflow_tracker(tmp_path)):
        raise error  # before anything was opened
    assert mlflow == []


@pytest.mark.parametrize("content", ["[]", '{"mlflow": 3}', "{", '{"mlflow": ""}'])
def test_a_damaged_record_is_set_aside(mlflow, tmp_path, content, caplog):
    (tmp_path / "tracked.json").write_text(content)
    mlflow_tracker(tmp_path).on_train_begin()
    assert (tmp_path / "tracked.json.damaged").read_text() == content
    assert mlflow[0] == ("start", None, tmp_path.name)
    assert "tracked.json was not one that train.py wrote" in caplog.text


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_package_that_is_missing_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(UsageError, match=f"run pip install {package}, or leave --track out"):
        check_tracker(package)
    monkeypatch.setitem(sys.modules, package, types.ModuleType(package))  # a folder that the package has left
    with pytest.raises(UsageError, match=f"Received: a folder named {package}"):
        check_tracker(package)
    check_tracker("none")


def test_a_package_that_is_there_passes(mlflow, wandb):
    check_tracker("mlflow")
    check_tracker("wandb")
