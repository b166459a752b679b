import json

import pytest

from simsiam_tf.callbacks.health_check import HealthCheck
from simsiam_tf.training.metrics_log import MetricsLog
from simsiam_tf.training.workdir import Workdir


def test_a_collapse_is_said(capsys):
    check = HealthCheck()
    check.on_epoch_end(0, {"loss": -0.95, "z_std_scaled": 0.98})
    check.on_epoch_end(1, {"loss": -0.3, "z_std_scaled": 0.2})
    assert capsys.readouterr().out == ""
    check.on_epoch_end(2, {"loss": -0.95, "z_std_scaled": 0.2})
    assert "epoch 3: the representations look collapsed" in capsys.readouterr().out
    check.on_epoch_end(3, {"loss": 0.01, "z_std_scaled": 0.05})  # BYOL's loss, say
    assert "epoch 4: the representations look collapsed" in capsys.readouterr().out


def test_a_divergence_ends_the_run_with_advice():
    HealthCheck().on_train_batch_end(0, {"loss": 0.1})
    with pytest.raises(FloatingPointError, match=r"became nan at step 5 .* lower --base_learning_rate"):
        HealthCheck().on_train_batch_end(4, {"loss": float("nan")})


def test_a_float16_run_that_only_skips_ends_with_advice():
    HealthCheck().on_train_batch_end(0, {"loss": 0.1, "loss_scale": 1.0})
    with pytest.raises(FloatingPointError, match=r"every step is skipped; use --precision=bfloat16"):
        HealthCheck().on_train_batch_end(0, {"loss": 0.1, "loss_scale": 0.5})


def test_metrics_go_on_after_a_restart_without_gap_or_repeat(tmp_path):
    workdir = Workdir(tmp_path)
    log = MetricsLog(workdir, steps_per_epoch=10)
    log.write(0, {"knn_top1": 10.0})
    for epoch in (0, 1):
        log.on_epoch_end(epoch, {"loss": -float(epoch)})
    with workdir.metrics_path.open("a") as file:
        file.write('{"epoch": 3, "st')  # a kill in the middle of a line
    workdir.keep_metrics_up_to(10)  # the checkpoint is of the first epoch's end
    MetricsLog(workdir, steps_per_epoch=10).on_epoch_end(1, {"loss": -5.0})
    lines = [json.loads(line) for line in workdir.metrics_path.read_text().splitlines()]
    assert [(line["epoch"], line["step"], line.get("loss")) for line in lines] == [
        (0, 0, None),
        (1, 10, 0.0),
        (2, 20, -5.0),
    ]
    assert lines[2]["wall_seconds"] >= lines[1]["wall_seconds"]
