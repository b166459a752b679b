import json

import pytest

from simsiam_tf.training.metrics_log import MetricsLog
from simsiam_tf.training.workdir import Workdir


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


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_is_not_finite_is_not_put_on_record(tmp_path, value):
    log = MetricsLog(Workdir(tmp_path), steps_per_epoch=10)
    log.write(1, {"loss": -0.5})
    with pytest.raises(FloatingPointError, match=f"feature_effective_rank became {value} in epoch 2"):
        log.write(2, {"loss": -0.5, "feature_effective_rank": value})
    assert [line["epoch"] for line in Workdir(tmp_path).metrics()] == [1]
