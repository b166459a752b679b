import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import SGD, SimSiam, resnet18
from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.errors import UsageError
from simsiam_tf.guard.causes import State
from simsiam_tf.guard.facts import Facts

COLLAPSED = {"loss": -0.95, "z_std_scaled": 0.2, "z_mean_length": 0.98, "z_rank": 1.2}


def watch(monitor, logs, epochs=1, steps=40):
    """Shows a monitor a run whose steps all have the same logs."""
    model = keras.Model()
    model.stop_training = False
    monitor.set_model(model)
    monitor.set_params({"epochs": epochs, "steps": steps})
    monitor.on_train_begin()
    for epoch in range(epochs):
        monitor.on_epoch_begin(epoch)
        for batch in range(steps):
            monitor.on_train_batch_end(batch, logs)
        monitor.on_epoch_end(epoch, {**logs, "loss": logs["loss"] + epoch / 1000})
    return model.stop_training


def test_a_collapse_is_said_once_within_the_epoch(caplog):
    monitor = CollapseMonitor(facts=Facts(method="simsiam", loss_is_cosine=True, stop_gradient=False))
    assert not watch(monitor, COLLAPSED, epochs=2)
    assert caplog.text.count("the run is collapsed to a point") == 1
    assert "step 10 of 80" in caplog.text  # two windows of five steps
    assert "leave --nostop_gradient out" in caplog.text
    assert monitor.state == "collapsed to a point"


@pytest.mark.parametrize("resumed", [None, 7.5])
@pytest.mark.parametrize("cosine", [False, True])
def test_the_loss_that_a_run_began_with_is_known_at_its_end(cosine, resumed):
    monitor = CollapseMonitor(facts=Facts(loss_is_cosine=cosine), first_loss=resumed)
    watch(monitor, {"loss": 0.5, "z_std_scaled": 1.0}, epochs=2)
    assert monitor.first_loss == (None if cosine else resumed or 0.5)


def test_a_stop_ends_training_and_ignore_says_nothing(caplog):
    assert not watch(quiet := CollapseMonitor(on_collapse="ignore"), COLLAPSED)
    assert caplog.text == "" and quiet.state is State.POINT
    assert watch(CollapseMonitor(on_collapse="stop"), COLLAPSED)
    with pytest.raises(UsageError, match=r"on_collapse must be one of warn, stop, ignore\. Received: 'halt'"):
        CollapseMonitor(on_collapse="halt")


def test_a_healthy_run_and_a_classifier_are_silent(caplog):
    watch(CollapseMonitor(), {"loss": -0.4, "z_std_scaled": 0.98, "z_rank": 6.0}, epochs=3)
    watch(CollapseMonitor(), {"loss": 0.3, "top1": 90.0}, epochs=3)
    assert caplog.text == ""


def test_a_divergence_ends_the_run_with_advice():
    CollapseMonitor().on_train_batch_end(0, {"loss": 0.1})
    with pytest.raises(FloatingPointError, match=r"became nan at step 5 .* lower the learning rate"):
        CollapseMonitor().on_train_batch_end(4, {"loss": float("nan")})
    with pytest.raises(FloatingPointError, match="became a number that is not finite at step 5"):
        CollapseMonitor().on_train_batch_end(4, {"loss": 0.1, "left_out": 1.0})


def test_as_many_steps_as_allowed_may_be_left_out_over_the_epochs():
    monitor = CollapseMonitor(max_skipped_steps=2)
    for epoch, left_out in enumerate((1.0, 1.0)):
        monitor.on_epoch_begin(epoch)
        monitor.on_train_batch_end(0, {"loss": 0.1, "left_out": left_out})
    with pytest.raises(FloatingPointError, match="is not finite"):
        monitor.on_train_batch_end(1, {"loss": 0.1, "left_out": 2.0})


def test_a_float16_run_that_only_skips_ends_with_advice():
    CollapseMonitor().on_train_batch_end(0, {"loss": 0.1, "loss_scale": 1.0, "left_out": 5.0})
    with pytest.raises(FloatingPointError, match=r"every step is skipped; compute in bfloat16"):
        CollapseMonitor().on_train_batch_end(0, {"loss": 0.1, "loss_scale": 0.5})


def test_plain_fit_names_causes_that_the_model_knows(caplog, rng):
    backbone = resnet18(cifar_stem=True, width=0.0625)
    model = SimSiam(backbone, projector_layers=2, projector_dim=8, predictor_dim=4, stop_gradient=False)
    model.compile(SGD(0.05))
    x = np.tile(rng.standard_normal((1, 8, 8, 3)), (48, 1, 1, 1)).astype("float32")  # one image
    monitor = CollapseMonitor(on_collapse="stop")
    pairs = tf.data.Dataset.from_tensor_slices((x, x)).batch(4)
    history = model.fit(pairs, epochs=3, callbacks=[monitor], verbose=0)
    assert monitor.state is State.POINT
    assert "leave --nostop_gradient out" in caplog.text
    assert len(history.history["loss"]) == 1
