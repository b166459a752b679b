"""A run that was killed ends as one that was not, to the bit."""

import json
import random

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simsiam_tf.training.checkpoints import saved_checkpoints
from tests.conftest import TINY_FLAGS, TINY_RUN_FLAGS, run_script

STEPS, EPOCHS = 4, 10
FLAGS = [*TINY_FLAGS, f"--epochs={EPOCHS}", "--save_every_steps=3", "--knn_every_epochs=5"]


def summary(workdir):
    return json.loads((workdir / "summary.json").read_text())


def record_of(workdir):
    """What metrics.jsonl holds, but for the times."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    names = ("epoch", "step", "loss", "z_std_scaled", "learning_rate", "knn_top1")
    return [{name: line[name] for name in names if name in line} for line in lines]


def curve_of(workdir):
    """TensorBoard's points of the loss: step to values; an epoch that was taken again has two, which are equal."""
    events = EventAccumulator(str(workdir / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    points = {}
    for event in events.Tensors("loss"):
        points.setdefault(event.step, set()).add(event.tensor_proto.tensor_content or event.tensor_proto.float_val[0])
    return points


def finish(workdir, flags):
    done = run_script("train.py", *flags, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return done


def assert_same_run(ours, theirs, epochs=EPOCHS):
    assert summary(ours)["weights_sha256"] == summary(theirs)["weights_sha256"]
    assert record_of(ours) == record_of(theirs)
    assert [line["epoch"] for line in record_of(ours)] == list(range(epochs + 1))
    assert curve_of(ours) == curve_of(theirs)
    assert set(curve_of(ours)) == {STEPS * (i + 1) for i in range(epochs)}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdirs = {}

    def of(flags):
        if flags not in workdirs:
            workdirs[flags] = tmp_path_factory.mktemp("uninterrupted") / "run"
            finish(workdirs[flags], [*FLAGS, *flags])
        return workdirs[flags]

    return of


@pytest.mark.long
@pytest.mark.parametrize("flags", [("--alternation_steps=7",), ("--eta_momentum=0.8", "--predictor=identity")])
def test_sigterm_saves_the_step_and_the_same_command_goes_on(uninterrupted, tmp_path, flags):
    """Within a turn of alternation, whose targets are of weights that are gone; and between two epochs' eta."""
    workdir, flags = tmp_path / "run", (*flags, "--save_every_steps=0", "--knn_every_epochs=0")
    stopped = run_script("tests/e2e/killed.py", "SIGTERM", 17, *FLAGS, *flags, f"--workdir={workdir}")
    assert stopped.returncode == 143, stopped.stderr
    assert stopped.stdout.splitlines()[-1] == (
        "Stopped by SIGTERM; saved at step 18. The same command resumes the run."
    )
    assert "Continuing at step 18:" in finish(workdir, [*FLAGS, *flags]).stdout
    assert_same_run(workdir, uninterrupted(flags))
    assert summary(workdir)["weights_sha256"] != summary(uninterrupted(()))["weights_sha256"]


@pytest.mark.slow
def test_an_epoch_that_lacks_only_its_record_gets_it(tiny_run, tmp_path):
    """Killed after an epoch's last step is saved and before the epoch is on record; three steps an execution."""
    workdir, flags = tmp_path / "run", [*TINY_RUN_FLAGS, "--save_every_steps=3", "--steps_per_execution=3"]
    killed = run_script("tests/e2e/killed.py", "SIGKILL", "end-of-1", *flags, f"--workdir={workdir}")
    assert killed.returncode == -9
    assert (workdir / "checkpoints" / "step-4.index").exists()
    assert record_of(workdir)[-1]["epoch"] == 0
    finish(workdir, flags)
    assert_same_run(workdir, tiny_run, epochs=2)


@pytest.mark.long
@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--steps_per_execution=3"],
        ["--steps_per_execution=3", "--accumulate_steps=2", "--precision=float16"],
    ],
)
def test_two_replicas_killed_within_an_epoch_resume_to_the_bit(tmp_path, more):
    flags = [*FLAGS, "--cpu_devices=2", *more, "--save_every_minutes=0.001", "--save_every_steps=0"]
    finish(tmp_path / "whole", flags)
    killed = run_script("tests/e2e/killed.py", "SIGKILL", 15, *flags, f"--workdir={tmp_path / 'run'}")
    assert killed.returncode == -9
    saved = [int(path.rpartition("-")[2]) for path in saved_checkpoints(tmp_path / "run" / "checkpoints")]
    assert any(step % STEPS for step in saved)  # by the clock, not at epochs' ends only
    finish(tmp_path / "run", flags)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.long
@pytest.mark.parametrize("flag", ["--jit=on", "--deterministic"])
def test_other_ways_to_compute_the_step_resume_to_the_bit(uninterrupted, tmp_path, flag):
    flags = [*FLAGS, flag]
    killed = run_script("tests/e2e/killed.py", "SIGKILL", 15, *flags, f"--workdir={tmp_path / 'run'}")
    assert killed.returncode == -9
    finish(tmp_path / "run", flags)
    assert_same_run(tmp_path / "run", uninterrupted((flag,)))
    ours, theirs = (record_of(workdir)[1]["loss"] for workdir in (tmp_path / "run", uninterrupted(())))
    assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("devices", [(), ("--cpu_devices=2",)], ids=["one", "two"])
def test_ten_kills_at_random_steps_change_nothing(uninterrupted, tmp_path, devices):
    workdir, flags = tmp_path / "run", [*FLAGS, *devices]
    for step in sorted(random.Random(len(devices)).sample(range(1, STEPS * EPOCHS - 3), 10)):
        killed = run_script("tests/e2e/killed.py", "SIGKILL", step, *flags, f"--workdir={workdir}")
        assert killed.returncode == -9, killed.stderr
    stopped = run_script("tests/e2e/killed.py", "SIGTERM", STEPS * EPOCHS - 1, *flags, f"--workdir={workdir}")
    assert stopped.returncode == 143, stopped.stderr
    assert record_of(workdir)[-1]["epoch"] == EPOCHS - 1
    finish(workdir, flags)
    assert_same_run(workdir, uninterrupted(devices))
