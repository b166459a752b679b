import json

import numpy as np
import pytest

from simsiam_tf.training.metrics_log import LossSpread, MetricsLog
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


def means(losses):
    """The running means of an epoch, with the number of steps of each."""
    return [(i + 1, float(mean)) for i, mean in enumerate(np.cumsum(losses) / np.arange(1, len(losses) + 1))]


def expected(losses, first):
    """The deviation of each loss from its mean over the 50 steps up to it, from a step on."""
    apart = [losses[i] - losses[i - 49 : i + 1].mean() for i in range(first, len(losses))]
    return np.sqrt(np.mean(np.square(apart)))


def test_how_the_loss_varies_is_measured_around_the_mean_of_fifty_steps():
    losses = np.random.default_rng(0).normal(-0.5, 0.1, 240) - np.linspace(0, 0.1, 240)
    spread, found = LossSpread(), []
    for epoch in np.split(losses, 4):
        for count, mean in means(epoch):
            spread.add(count, mean)
        found.append(spread.end_epoch(steps=60))
    assert found[0] is None  # its first steps have too few before them
    assert found[1:] == pytest.approx([expected(losses[: 60 * n], 60 * (n - 1)) for n in (2, 3, 4)])
    assert 0.09 < found[3] < 0.12


@pytest.mark.parametrize(("steps", "is_known"), [(2_000, True), (400_000, False)])
def test_what_float32_rounds_away_is_not_given_as_a_variation(steps, is_known):
    """The mean of an epoch comes from a sum in float32, whose steps grow with it."""
    losses, spread = np.tile([-0.49, -0.51], steps // 2), LossSpread()
    for count, mean in means(losses):  # the epoch before, for the fifty steps
        if count <= 50:
            spread.add(count, mean)
    spread.end_epoch(steps=50)
    for count, mean in means(np.float32(losses)):
        spread.add(count, float(np.float32(mean)))
    found = spread.end_epoch(steps)
    assert found == pytest.approx(0.01, rel=0.05) if is_known else found is None


@pytest.mark.parametrize("lost", [slice(0, 1), slice(10, 11), slice(30, 60)])
def test_an_epoch_whose_steps_were_not_all_seen_has_no_measure(lost):
    spread = LossSpread()
    for _ in range(2):
        for count, mean in means(np.ones(60)):
            spread.add(count, mean)
        spread.end_epoch(steps=60)
    seen = means(np.ones(60))
    del seen[lost]
    for count, mean in seen:
        spread.add(count, mean)
    assert spread.end_epoch(steps=60) is None


def test_the_variation_of_the_loss_is_put_on_record(tmp_path):
    log = MetricsLog(Workdir(tmp_path), steps_per_epoch=60)
    for epoch in range(3):
        left_out = 1.0 if epoch == 2 else 0.0  # a loss that is not finite, of the last step
        for count, mean in means(np.tile([-0.4, -0.6], 30)):
            log.on_train_batch_end(count - 1, {"loss": mean, "left_out": left_out * (count == 60)})
        log.on_epoch_end(epoch, {"loss": -0.5})
    lines = Workdir(tmp_path).metrics()
    assert ["loss_std" in line for line in lines] == [False, True, False]
    assert lines[1]["loss_std"] == pytest.approx(0.1)
