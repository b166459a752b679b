import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.checkpoints import Checkpoints, SaveCheckpoints, restore_model
from simsiam_tf.methods import METHODS
from simsiam_tf.settings import UsageError
from tests.methods.test_methods import make, make_views


def everything(model):
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]


@pytest.mark.parametrize("method", METHODS)
def test_every_variable_comes_back(tmp_path, rng, method):
    model, views = make(method), make_views(rng)
    model.train_step(views)
    Checkpoints(model, tmp_path, keep=2).save()
    other = make(method)
    for variable in everything(other):
        variable.assign(tf.ones_like(variable.value) * tf.cast(7, variable.dtype))
    assert Checkpoints(other, tmp_path, keep=2).restore_latest() == 1
    for ours, theirs in zip(everything(model), everything(other), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


def test_evaluation_restores_the_weights_alone(tmp_path, rng):
    model = make("simsiam")
    model.train_step(make_views(rng))
    Checkpoints(model, tmp_path, keep=2).save()
    other = make("simsiam")
    assert restore_model(other, tmp_path).endswith("step-1")
    for ours, theirs in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


def test_keeps_the_latest_few(tmp_path, rng):
    model, views = make("simsiam"), make_views(rng)
    checkpoints = Checkpoints(model, tmp_path, keep=2)
    for _ in range(3):
        model.train_step(views)
        checkpoints.save()
        checkpoints.save()  # the same step again is no second checkpoint
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["step-2.index", "step-3.index"]


def test_a_missing_checkpoint_is_said(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint yet"):
        restore_model(make("simsiam"), tmp_path)
    with pytest.raises(UsageError, match=r"must be a checkpoint of this run. Received: .*nothing"):
        restore_model(make("simsiam"), tmp_path, str(tmp_path / "nothing"))


def test_saves_by_step_but_leaves_the_epoch_s_last_step_to_its_end(tmp_path, rng):
    """A kill between the two would otherwise resume after an epoch that was never put on record."""
    model, views = make("simsiam"), make_views(rng)
    checkpoints = Checkpoints(model, tmp_path, keep=5)
    saver = SaveCheckpoints(checkpoints, every_steps=1, every_minutes=0)
    saver.set_params({"steps": 2})
    saved = []
    for batch in range(2):
        model.train_step(views)
        saver.on_train_batch_end(batch, {})
        saved.append(checkpoints.saved_step)
    assert saved == [1, 1]
    saver.on_epoch_end(0, {})
    assert checkpoints.saved_step == 2
