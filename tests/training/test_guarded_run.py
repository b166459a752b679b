"""A run that is stopped by the guard, and a run whose numbers are not finite."""

import dataclasses
import json

import numpy as np
import pytest

from simsiam_tf.errors import Stopped, UsageError
from simsiam_tf.guard.causes import State
from simsiam_tf.guard.states import Judge
from simsiam_tf.training import bad_steps, checkpoints
from simsiam_tf.training.pretrain import pretrain
from simsiam_tf.training.replay import BadStep, replay
from simsiam_tf.training.workdir import Workdir
from tests.training.test_pretrain import tiny_config


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def plain_config(workdir, epochs=2, similarity="cosine", **run):
    """Eight steps an epoch of two images."""
    config = tiny_config(workdir)
    method = dataclasses.replace(config.model.of_method, alternation_steps="1", similarity=similarity)
    model = dataclasses.replace(config.model, of_method=method)
    data = dataclasses.replace(config.data, global_batch_size=2)
    return dataclasses.replace(
        config, model=model, data=data, run=dataclasses.replace(config.run, epochs=epochs, **run)
    )


@pytest.mark.slow
def test_a_stop_is_saved_and_recorded_and_the_same_command_goes_on(tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as collapsing:
        collapsing.setattr(Judge, "_of_window", lambda self, window: State.POINT)
        with pytest.raises(Stopped, match="Stopped at step 10, which is saved: the run is collapsed to a po") as stop:
            pretrain(plain_config(tmp_path, on_collapse="stop"))
    assert stop.value.exit_code == 3
    assert caplog.text.count("step 10 of 16: the run is collapsed to a point") == 1
    workdir = Workdir(tmp_path)
    assert workdir.summary() == {
        "stopped": {"value": "collapsed to a point", "step": 10, "checkpoint": "step-10"},
    }
    assert (workdir.checkpoints / "step-10.index").exists()
    assert [line.get("state") for line in workdir.metrics()] == [None, "healthy"]
    pretrain(plain_config(tmp_path, on_collapse="stop"))  # which is healthy now
    assert "stopped" not in workdir.summary() and "loss" in workdir.summary()
    assert [line.get("state") for line in workdir.metrics()] == [None, "healthy", "healthy"]


@pytest.mark.slow
def test_a_resumed_run_knows_the_loss_that_it_began_with(tmp_path, monkeypatch):
    """Otherwise it would judge by its loss since the resume, which no longer falls."""
    config = plain_config(tmp_path, similarity="cross_entropy", on_collapse="stop")
    with monkeypatch.context() as collapsing:
        collapsing.setattr(Judge, "_of_window", lambda self, window: State.POINT)
        with pytest.raises(Stopped, match="Stopped at step 10"):
            pretrain(config)
    (first,) = [line["first_loss"] for line in Workdir(tmp_path).metrics() if line["epoch"] == 1]
    given = []
    real = Judge.__init__

    def keeping(self, facts, total=0, state=State.HEALTHY, first_loss=None):
        given.append(first_loss)
        real(self, facts, total, state, first_loss)

    monkeypatch.setattr(Judge, "__init__", keeping)
    pretrain(config)
    assert set(given) == {first}
    assert Workdir(tmp_path).metrics()[-1]["first_loss"] == first


@pytest.mark.slow
def test_a_step_that_is_not_finite_is_kept_and_can_be_run_alone(tmp_path, capsys, console):
    config = plain_config(tmp_path)
    rate = dataclasses.replace(config.optimizer, base_learning_rate=1e32, warmup_epochs=0)
    with pytest.raises(FloatingPointError, match=r"step 2 \(epoch 1\) is not finite.*no checkpoint yet.*replay") as end:
        pretrain(dataclasses.replace(config, optimizer=rate))
    record = json.loads((tmp_path / "bad_step" / "step.json").read_text())
    assert record["step"] == 1 and record["from"] == "before" and len(record["images"]) == 2
    assert f"a step of images {', '.join(record['images'])}." in str(end.value)
    replay(str(tmp_path))
    found = json.loads((tmp_path / "bad_step" / "replay.json").read_text())["as it was"]
    assert found["loss"] == "nan" and found["weights after it"] == "finite"
    assert found["images whose views or features are not finite"] == 2
    assert "Done: the step is not finite again (loss, gradient_norm)." in capsys.readouterr().out


@pytest.mark.slow
def test_steps_may_be_left_out(tmp_path, monkeypatch, caplog, console):
    """Weights, their velocities and the means of the epoch are those of the other steps."""
    seen = []
    monkeypatch.setattr(bad_steps._log, "info", lambda message: seen.append(message))
    config = plain_config(tmp_path, epochs=1, max_skipped_steps=7)
    rate = dataclasses.replace(config.optimizer, base_learning_rate=1e32, warmup_epochs=0)
    pretrain(dataclasses.replace(config, optimizer=rate))
    assert seen[-1] == "The loss or the gradient of step 8 is not finite: left out, 7 of at most 7 such steps."
    line = Workdir(tmp_path).metrics()[-1]
    assert line["left_out"] == 7 and np.isfinite(line["loss"])


def test_a_record_that_train_did_not_write_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must be a run that ended because a number was not finite"):
        BadStep.read(Workdir(tmp_path))
    (tmp_path / "bad_step").mkdir()
    for text in ("[]", '{"step": -1, "from": "x", "trained_since": 0, "images": []}', '{"step": 1e999}', "\xff"):
        (tmp_path / "bad_step" / "step.json").write_text(text)
        with pytest.raises(UsageError):
            BadStep.read(Workdir(tmp_path))


@pytest.mark.slow
def test_weights_that_are_not_finite_are_trained_again_from_the_last_checkpoint(tmp_path, monkeypatch, capsys, console):
    """The state before the step is gone then; the images of the step are named all the same."""
    check = checkpoints._check_finite

    def from_the_second_epoch_on(variables, what):
        if what == "Step 16":
            raise FloatingPointError("Step 16 has weights that are not finite numbers.")
        check(variables, what)

    with monkeypatch.context() as broken:
        broken.setattr(checkpoints, "_check_finite", from_the_second_epoch_on)
        with pytest.raises(
            FloatingPointError, match=r"A weight after step 16 \(epoch 2\) is not finite.*that of step 8"
        ):
            pretrain(plain_config(tmp_path))
    record = json.loads((tmp_path / "bad_step" / "step.json").read_text())
    assert (record["what"], record["from"], record["step"]) == ("weights", "step-8", 15)
    assert not list((tmp_path / "bad_step").glob("before*"))
    replay(str(tmp_path))
    found = json.loads((tmp_path / "bad_step" / "replay.json").read_text())["as it was"]
    assert found["state"] == "before step 16, trained again from step 9 on" and found["weights after it"] == "finite"
    assert "Done: the step is finite this time" in capsys.readouterr().out


@pytest.mark.parametrize("images", [["shapes/1.png", "shapes/2.png"], []])
def test_a_step_of_other_images_is_not_run(tmp_path, images):
    """As after a folder of images was changed."""
    Workdir.open_for_training(plain_config(tmp_path))
    (tmp_path / "bad_step").mkdir()
    record = {"step": 1, "from": "before", "trained_since": 0, "images": images}
    (tmp_path / "bad_step" / "step.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"must be the one that the run trained on|must name the images"):
        replay(str(tmp_path))
