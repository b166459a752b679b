import os
import time

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.errors import UsageError
from simsiam_tf.files import as_path
from simsiam_tf.methods import METHODS
from simsiam_tf.training import checkpoints as module
from simsiam_tf.training.checkpoints import Checkpoints, Saver, restore_model, weights_sha256
from tests.fake_gcs import Fault
from tests.methods.test_methods import make, make_views


def open_checkpoints(model, folder, keep=2):
    return Checkpoints(model, tf.distribute.get_strategy(), folder, keep)


def two_saved_steps(folder, rng):
    """Saves a model after its first and its second step; the views that it was trained on."""
    model, views = make("simsiam"), make_views(rng)
    checkpoints = open_checkpoints(model, folder)
    for _ in range(2):
        model.train_step(views)
        checkpoints.save()
    return views


def everything(model):
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]


@pytest.mark.parametrize("method", METHODS)
def test_every_variable_comes_back(tmp_path, rng, method):
    model, views = make(method), make_views(rng)
    model.train_step(views)
    open_checkpoints(model, tmp_path).save()
    other = make(method)
    for variable in everything(other):
        variable.assign(tf.ones_like(variable.value) * tf.cast(7, variable.dtype))
    assert open_checkpoints(other, tmp_path).restore_latest() == 1
    for ours, theirs in zip(everything(model), everything(other), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


def test_evaluation_restores_the_weights_alone(tmp_path, rng):
    model = make("simsiam")
    model.train_step(make_views(rng))
    open_checkpoints(model, tmp_path).save()
    other = make("simsiam")
    assert restore_model(other, tmp_path).endswith("step-1")
    for ours, theirs in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


def test_keeps_the_latest_few(tmp_path, rng):
    model, views = make("simsiam"), make_views(rng)
    checkpoints = open_checkpoints(model, tmp_path)
    for _ in range(3):
        model.train_step(views)
        checkpoints.save()
        checkpoints.save()  # the same step again is no second checkpoint
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["step-2.index", "step-3.index"]


def test_an_old_checkpoint_that_a_kill_left_goes_when_the_run_goes_on(tmp_path, rng):
    two_saved_steps(tmp_path, rng)
    assert open_checkpoints(make("simsiam"), tmp_path, keep=1).restore_latest() == 2
    assert [path.name for path in tmp_path.glob("*.index")] == ["step-2.index"]


def test_a_missing_checkpoint_is_said(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint yet"):
        restore_model(make("simsiam"), tmp_path)
    with pytest.raises(UsageError, match=r"must be a checkpoint of this run. Received: .*nothing"):
        restore_model(make("simsiam"), tmp_path, str(tmp_path / "nothing"))


def test_saves_by_step_and_by_time(tmp_path, rng, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    checkpoints = open_checkpoints(make("simsiam"), tmp_path)
    saver = Saver(checkpoints, every_steps=4, every_minutes=2)
    # An execution may jump over the multiple.
    assert [step for step in (1, 3, 5, 9) if saver.is_due_at(step)] == [5, 9]
    assert not saver.is_due
    clock[0] = 121.0
    assert saver.is_due
    saver.save()
    assert not saver.is_due
    assert checkpoints.saved_step == 0
    off = Saver(checkpoints, every_steps=0, every_minutes=0)
    clock[0] = 1e9
    assert not off.is_due
    assert not off.is_due_at(1000)


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_save_cut_short_is_never_picked_up(tmp_path, rng, console, capsys, part, share):
    model, views = make("simsiam"), make_views(rng)
    checkpoints = open_checkpoints(model, tmp_path)
    model.train_step(views)
    checkpoints.save()
    before = [v.numpy() for v in everything(model)]
    model.train_step(views)
    checkpoints.save()
    file = tmp_path / f"step-2.{part}"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    other = make("simsiam")
    again = open_checkpoints(other, tmp_path)
    assert again.restore_latest() == 1
    for ours, theirs in zip(before, everything(other), strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy(), err_msg=theirs.path)
    assert "step-2 cannot be read" in capsys.readouterr().err
    other.train_step(views)
    again.save()  # over the broken one
    assert open_checkpoints(make("simsiam"), tmp_path).restore_latest() == 2


def test_a_run_of_broken_checkpoints_is_not_started_anew(tmp_path, rng):
    checkpoints = open_checkpoints(make("simsiam"), tmp_path)
    checkpoints.save()
    (tmp_path / "step-0.index").write_bytes(b"")
    with pytest.raises(UsageError, match="None of the run's checkpoints can be read"):
        open_checkpoints(make("simsiam"), tmp_path).restore_latest()


def test_what_a_kill_leaves_of_a_save_is_no_checkpoint_and_goes(tmp_path, rng):
    """Data without its index, and the draft."""
    views = two_saved_steps(tmp_path, rng)
    (tmp_path / "draft").mkdir()
    (tmp_path / "step-2.index").rename(tmp_path / "draft" / "step-2.index")
    other = make("simsiam")
    again = open_checkpoints(other, tmp_path)
    assert again.restore_latest() == 1
    other.train_step(views)
    again.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"step-{step}.{part}" for step in (1, 2) for part in ("data-00000-of-00001", "index")
    ]


def test_a_damaged_save_does_not_crowd_out_the_readable_ones(tmp_path, rng):
    views = two_saved_steps(tmp_path, rng)
    (tmp_path / "step-9.index").write_bytes(b"")
    again = open_checkpoints(make("simsiam"), tmp_path, keep=1)
    assert again.restore_latest() == 2
    again._model.train_step(views)
    again.save()
    assert [path.name for path in sorted(tmp_path.glob("*.index"))] == ["step-3.index"]


def test_checkpoints_of_another_model_are_refused(tmp_path, rng):
    open_checkpoints(make("simsiam"), tmp_path).save()
    with pytest.raises(UsageError, match="do not fit the model that this version makes"):
        open_checkpoints(make("simsiam", bn_placement="all"), tmp_path).restore_latest()


def test_evaluation_passes_over_a_broken_checkpoint(tmp_path, rng, console, capsys):
    two_saved_steps(tmp_path, rng)
    (tmp_path / "step-2.data-00000-of-00001").write_bytes(b"")
    assert restore_model(make("simsiam"), tmp_path).endswith("step-1")
    assert "step-2 cannot be read" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"must be a checkpoint of this run. Received: .*step-2"):
        restore_model(make("simsiam"), tmp_path, str(tmp_path / "step-2.index"))


def test_the_fingerprint_is_of_every_variable(rng):
    model = make("simsiam")
    model.train_step(make_views(rng))
    seen = {weights_sha256(model)}
    for variable in [*model.variables, *model.optimizer.variables]:
        before = variable.numpy()
        flat = before.reshape(-1).copy()
        flat[-1] = flat[-1] + 1
        variable.assign(flat.reshape(before.shape))
        seen.add(weights_sha256(model))
        variable.assign(before)
    assert len(seen) == 1 + len(model.variables) + len(model.optimizer.variables)
    assert weights_sha256(model) in seen


@pytest.mark.parametrize("of", ["trainable_variables", "non_trainable_variables", "optimizer"])
def test_numbers_that_are_not_finite_are_never_saved(tmp_path, rng, of):
    two_saved_steps(tmp_path, rng)
    before = sorted(path.name for path in tmp_path.iterdir())
    model = make("simsiam")
    checkpoints = open_checkpoints(model, tmp_path)
    checkpoints.restore_latest()
    model.train_step(make_views(rng))
    variable = (model.optimizer.velocities if of == "optimizer" else getattr(model, of))[-1]
    variable.assign(np.full(variable.shape, np.inf))
    with pytest.raises(FloatingPointError, match=rf"Step 3 has weights that are not finite.*{variable.path}"):
        checkpoints.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_update_that_breaks_the_weights_ends_the_run(tmp_path, rng):
    """The loss of the last step is of the weights before it."""
    model = make("simsiam")
    model.optimizer.learning_rate = float("inf")
    assert np.isfinite(model.train_step(make_views(rng))["loss"])
    with pytest.raises(FloatingPointError, match="Step 1 has weights that are not finite"):
        open_checkpoints(model, tmp_path).save()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", ["evaluation", "training"])
def test_a_checkpoint_that_is_not_finite_is_not_used(tmp_path, rng, monkeypatch, read):
    """As versions before this one saved it."""
    model = make("simsiam")
    model.backbone.variables[0].assign(np.full(model.backbone.variables[0].shape, np.nan))
    monkeypatch.setattr(module, "_check_finite", lambda *args: None)
    open_checkpoints(model, tmp_path).save()
    monkeypatch.undo()
    with pytest.raises(FloatingPointError, match=r"step.0 has weights that are not finite"):
        if read == "evaluation":
            restore_model(make("simsiam"), tmp_path)
        else:
            open_checkpoints(make("simsiam"), tmp_path).restore_latest()


def test_a_checkpoint_under_the_name_of_another_step_is_not_taken(tmp_path, rng, console, capsys):
    two_saved_steps(tmp_path, rng)
    for path in sorted(tmp_path.glob("step-1.*")):
        path.replace(path.with_name(path.name.replace("step-1", "step-5")))
    other = make("simsiam")
    assert open_checkpoints(other, tmp_path).restore_latest() == 2
    assert "step-5 cannot be read (it holds step 1); trying the previous checkpoint." in capsys.readouterr().err
    assert restore_model(other, tmp_path).endswith("step-2")
    with pytest.raises(UsageError, match="--checkpoint must be a checkpoint of this run"):
        restore_model(other, tmp_path, str(tmp_path / "step-5"))


def test_a_pipe_in_the_place_of_a_checkpoint_is_never_waited_for(tmp_path, rng, console, capsys):
    two_saved_steps(tmp_path, rng)
    (tmp_path / "step-2.data-00000-of-00001").unlink()
    os.mkfifo(tmp_path / "step-2.data-00000-of-00001")
    assert open_checkpoints(make("simsiam"), tmp_path).restore_latest() == 1
    assert "not a regular file" in capsys.readouterr().err


def test_a_checkpoint_that_a_bucket_refuses_to_read_is_not_passed_over(gcs, rng):
    folder = as_path(f"{gcs.address}/checkpoints")
    two_saved_steps(folder, rng)
    assert [name for name in gcs.names("checkpoints/") if name.endswith(".index")] == ["step-1.index", "step-2.index"]
    gcs.fail(Fault(401, writing=False, path=r"step-2\.data", times=1))
    with pytest.raises(tf.errors.OpError, match="401"):
        open_checkpoints(make("simsiam"), folder).restore_latest()
    gcs.fail()
    assert open_checkpoints(make("simsiam"), folder).restore_latest() == 2
    restore_model(make("simsiam"), folder)
