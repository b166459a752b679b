import json

import numpy as np
import pytest

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.probes.sweep import run_sweep
from simsiam_tf.features.embed import Features
from simsiam_tf.features.store import FeatureStore
from tests.evaluation.judging import summary


@pytest.fixture
def overlapping(run, monkeypatch, rng):
    """Two classes that no classifier tells apart without error, in place of the backbone's features."""

    def features(n):
        labels = rng.integers(0, 2, n)
        return Features.from_array(rng.standard_normal((n, 8)) + 0.8 * np.eye(8)[labels], labels)

    made = {64: features(600), 32: features(300)}
    monkeypatch.setattr(LoadedRun, "features", lambda self, source: made[source.num_examples])
    monkeypatch.setattr(FeatureStore, "seconds", lambda self, source: 1.0)
    return run


def test_chooses_by_held_out_training_images_and_prints_the_table(overlapping, console, capsys):
    rates = (1e-6, 0.1, 1.0)
    run_sweep(overlapping, ProbeConfig(probe_epochs=20, sweep_learning_rates=rates, sweep_weight_decays=(0.0, 1e-3)))
    printed, records = capsys.readouterr().out, summary(overlapping.workdir.root)
    record = records["linear_cached_top1"]
    assert record["chosen_among"] == 6
    assert record["base_learning_rate"] in (0.1, 1.0)
    assert "60 held-out training images" in record["chosen_by"]
    assert record["train_size"] == 600
    assert 60 < record["value"] < 90
    assert record["seconds"] > 2
    assert "held-out top-1" in printed
    assert "1e-06" in printed
    assert records["linear_cached_top5"]["value"] == 100


@pytest.mark.parametrize(
    ("rates", "decays", "warned"),
    [
        ((1e-7, 1e-6, 0.1), (0.0, 1e-4), "the best learning rate, 0.1, is the largest value of the grid"),
        ((0.1, 1e4), (0.0,), "the best learning rate, 0.1, is the smallest value of the grid"),
        ((1e-6, 0.1, 1e4), (0.0, 10.0), None),
    ],
)
def test_a_best_at_the_edge_is_said(overlapping, console, capsys, rates, decays, warned):
    run_sweep(overlapping, ProbeConfig(probe_epochs=20, sweep_learning_rates=rates, sweep_weight_decays=decays))
    printed = " ".join(capsys.readouterr().err.split())
    assert ("warning: " + warned in printed) if warned else ("warning" not in printed)


def test_the_test_images_take_no_part_in_the_choice(overlapping, monkeypatch):
    config = ProbeConfig(probe_epochs=5, sweep_learning_rates=(0.01, 0.1, 1.0))
    run_sweep(overlapping, config)
    first = summary(overlapping.workdir.root)["linear_cached_top1"]
    features = LoadedRun.features

    def other_labels(self, source):
        found = features(self, source)
        return found if len(found) == 600 else Features(found.parts, found.index, 1 - found.labels)

    monkeypatch.setattr(LoadedRun, "features", other_labels)
    run_sweep(overlapping, config)
    second = summary(overlapping.workdir.root)["linear_cached_top1"]
    assert second["value"] == pytest.approx(100 - first["value"])
    assert second["base_learning_rate"] == first["base_learning_rate"]
    assert json.dumps(second["chosen_by"]) == json.dumps(first["chosen_by"])


def test_heads_that_diverge_are_never_chosen(overlapping, console, capsys):
    config = ProbeConfig(probe_epochs=5, sweep_learning_rates=(0.1, 1e39), sweep_weight_decays=(0.0,))
    run_sweep(overlapping, config)
    assert summary(overlapping.workdir.root)["linear_cached_top1"]["base_learning_rate"] == 0.1
    assert "diverged" in capsys.readouterr().out


def test_a_sweep_of_diverged_heads_is_not_judged(overlapping):
    config = ProbeConfig(probe_epochs=5, sweep_learning_rates=(1e39, 1e40), sweep_weight_decays=(0.0,))
    with pytest.raises(FloatingPointError, match="Every head of the sweep diverged"):
        run_sweep(overlapping, config)
    assert "linear_cached_top1" not in (
        summary(overlapping.workdir.root) if overlapping.workdir.summary_path.exists() else {}
    )
