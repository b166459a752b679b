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
