"""--track on the command line, with modules in place of the packages that only note what they are told."""

import json

import pytest

from tests.conftest import TINY_RUN_FLAGS, run_script
from tests.training.test_hparams import read

FAKE_MLFLOW = """
import json, os, types

def note(*what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(what) + "\\n")

def start_run(run_id, run_name):
    note("start", run_id)
    return types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc"))

def log_params(settings):
    note("params", settings)

def log_metrics(values, step=None):
    note("metrics", values, step)
    if "loss" in values and os.environ.get("FAILS"):
        raise ConnectionError("no route")

def set_tags(texts):
    note("tags", texts)

def end_run(status):
    note("end", status)
"""


@pytest.fixture
def tracked(tmp_path):
    """Runs train.py with a module in place of MLflow; returns its result, and what the module was told."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "mlflow.py").write_text(FAKE_MLFLOW)
    (modules / "wandb.py").write_text("raise ImportError('not here')")

    def run(*arguments, **environment):
        (tmp_path / "notes").write_text("")
        environment |= {"PYTHONPATH": str(modules), "NOTES": str(tmp_path / "notes")}
        done = run_script(*arguments, *TINY_RUN_FLAGS, f"--workdir={tmp_path / 'run'}", **environment)
        return done, [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]

    return run


def fingerprint(run):
    return json.loads((run / "summary.json").read_text())["weights_sha256"]["value"]


@pytest.mark.long
def test_a_run_is_tracked_over_a_stop_and_keeps_its_bits(tracked, tiny_run, tmp_path):
    done, notes = tracked("tests/e2e/killed.py", "SIGTERM", 6, "--track=mlflow")
    assert done.returncode == 143, done.stderr
    assert notes[0] == ["start", None]
    assert notes[-1] == ["end", "KILLED"]
    settings = {name: value for what, *rest in notes if what == "params" for name, value in rest[0].items()}
    assert settings["base_learning_rate"] == 0.05 and settings["track"] == "mlflow"
    assert [rest[1] for what, *rest in notes if what == "metrics"] == [0, 4]
    done, notes = tracked("train.py", "--track=mlflow", FAILS="")
    assert done.returncode == 0, done.stderr
    assert [what for what, *_ in notes] == ["start", "metrics", "metrics", "tags", "end"]
    assert notes[0] == ["start", "abc"] and notes[-1] == ["end", "FINISHED"]
    assert notes[1][2] == 8 and "knn_top1" in notes[1][1]
    assert notes[3][1]["weights_sha256"] == fingerprint(tiny_run) == fingerprint(tmp_path / "run")
    read(tmp_path / "run")  # TensorBoard's settings are there once
    done, notes = tracked("train.py", "--track=mlflow")
    assert (done.returncode, notes) == (0, [])  # the run is finished


@pytest.mark.slow
def test_a_missing_package_is_said_before_anything_and_a_failing_one_does_not_end_the_run(tracked, tiny_run, tmp_path):
    done, _ = tracked("train.py", "--track=wandb")
    assert done.returncode == 2
    assert done.stderr == (
        "error: --track=wandb needs the package wandb; run pip install wandb, or leave --track out. "
        "Received: ImportError: not here.\n"
    )
    assert not (tmp_path / "run").exists() and done.stdout == ""
    done, notes = tracked("train.py", "--track=mlflow", FAILS="1")
    assert done.returncode == 0
    assert done.stderr.count("warning: MLflow failed (ConnectionError: no route).") == 1
    assert len([what for what, *_ in notes if what == "metrics"]) == 2
    assert fingerprint(tmp_path / "run") == fingerprint(tiny_run)
