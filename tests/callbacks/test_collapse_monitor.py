from types import SimpleNamespace

import pytest

from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor


def test_a_collapse_is_said(caplog):
    check = CollapseMonitor()
    check.on_epoch_end(0, {"loss": -0.95, "z_std_scaled": 0.98})
    check.on_epoch_end(1, {"loss": -0.3, "z_std_scaled": 0.2})
    assert caplog.text == ""
    check.on_epoch_end(2, {"loss": -0.95, "z_std_scaled": 0.2})
    assert "epoch 3: the representations look collapsed" in caplog.text
    check.on_epoch_end(3, {"loss": 0.01, "z_std_scaled": 0.05})  # BYOL's loss, say
    assert "epoch 4: the representations look collapsed" in caplog.text


def test_a_divergence_ends_the_run_with_advice():
    CollapseMonitor().on_train_batch_end(0, {"loss": 0.1})
    with pytest.raises(FloatingPointError, match=r"became nan at step 5 .* lower the learning rate"):
        CollapseMonitor().on_train_batch_end(4, {"loss": float("nan")})


def test_a_float16_run_that_only_skips_ends_with_advice():
    CollapseMonitor().on_train_batch_end(0, {"loss": 0.1, "loss_scale": 1.0})
    with pytest.raises(FloatingPointError, match=r"every step is skipped; compute in bfloat16"):
        CollapseMonitor().on_train_batch_end(0, {"loss": 0.1, "loss_scale": 0.5})


@pytest.mark.parametrize("losses", [[0.0, 0.0, 0.0], [-0.5, -0.25, -0.25, -0.25]], ids=["zero", "constant"])
def test_a_run_that_does_not_learn_is_said_once(caplog, losses):
    check = CollapseMonitor("lower --base_learning_rate")
    for epoch, loss in enumerate(losses):
        check.on_epoch_end(epoch, {"loss": loss, "z_std_scaled": 0.9})
    assert caplog.text.count("the run does not learn: its loss is exactly") == 1
    assert "so the gradients are 0; lower --base_learning_rate." in caplog.text


def test_a_classifier_that_knows_all_its_images_is_no_standstill(caplog):
    check = CollapseMonitor()
    check.on_epoch_end(0, {"loss": 0.1, "top1": 100.0})
    check.on_epoch_end(1, {"loss": 0.0, "top1": 100.0})
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("losses", "steps", "said"),
    [
        ([-0.3, 0.01, -0.04, 0.03], 40, 1),
        ([0.01, -0.6, 0.01, -0.7], 200, 0),
        ([-0.3, -0.4, -0.5, -0.6], 200, 0),
        ([0.01, -0.005, 0.0123], 2, 0),
    ],
    ids=["stays at chance", "leaves it", "never near it", "too few steps to say"],
)
def test_views_that_are_no_more_alike_than_others_are_said_once(caplog, losses, steps, said):
    check = CollapseMonitor("lower --base_learning_rate")
    check.set_model(SimpleNamespace(chance_loss=0.0))
    check.set_params({"steps": steps})
    for epoch, loss in enumerate(losses):
        check.on_epoch_end(epoch, {"loss": loss, "z_std_scaled": 0.9})
    assert caplog.text.count("no more alike than others; lower --base_learning_rate.") == said


def test_a_loss_of_0_is_no_chance_for_methods_whose_loss_is_another(caplog):
    for chance in (None, 4.0):
        check = CollapseMonitor()
        check.set_model(SimpleNamespace(chance_loss=chance))
        check.set_params({"steps": 100})
        for epoch, loss in enumerate([0.013, 0.012, 0.011]):
            check.on_epoch_end(epoch, {"loss": loss, "z_std_scaled": 0.9})
    assert caplog.text == ""
