"""How long a run will take, by a few of its steps."""

import dataclasses
import time
from types import SimpleNamespace

import pytest
import tensorflow as tf

from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.training import trial
from simsiam_tf.training.opened_run import OpenedImages
from simsiam_tf.training.trial import Trial
from tests.training.test_pretrain import tiny_config


@pytest.mark.parametrize("cores", [1, 2, 8, 16])
def test_batches_that_are_made_at_the_same_time_do_not_hide_the_time_of_making_them(cores, monkeypatch):
    seconds = 0.2
    options = tf.data.Options()
    options.threading.private_threadpool_size = cores

    def slowly(x):
        return tf.numpy_function(lambda x: time.sleep(seconds) or x, [x], tf.int64)

    batches = tf.data.Dataset.range(1000).map(slowly, num_parallel_calls=cores).with_options(options)
    monkeypatch.setattr(trial, "make_input", lambda *_: (lambda share, step: batches, None))
    monkeypatch.setattr(trial, "order_of", lambda *_: None)
    monkeypatch.setattr(trial, "usable_cores", lambda: cores)
    config = SimpleNamespace(devices=SimpleNamespace(accumulate_steps=1), data=SimpleNamespace(global_batch_size=4))
    measured = trial.seconds_of_input(config, ONE_DEVICE, SimpleNamespace(source=None))
    assert measured == pytest.approx(seconds / cores, rel=0.5)


def test_targets_that_are_computed_ahead_take_their_time():
    plain, ahead = (Trial.of_parts(3.0, 0.5, 10, False, looks_ahead) for looks_ahead in (False, True))
    assert (plain.seconds_per_step, ahead.seconds_per_step) == (3.5, 5.0)  # a forward pass, and the images again
    assert plain.seconds_per_embedding == ahead.seconds_per_embedding


@pytest.mark.parametrize(("steps", "seconds"), [("1", 3.5), ("2", 5.0), ("epoch", 5.0)])
def test_a_run_that_computes_targets_ahead_is_measured_so(steps, seconds, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_seconds_of_step", lambda *_: 3.0)
    monkeypatch.setattr(trial, "seconds_of_input", lambda *_: 0.5)
    config = tiny_config(tmp_path)
    method = dataclasses.replace(config.model.of_method, alternation_steps=steps)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, of_method=method))
    measured = trial.measure(config, ONE_DEVICE, OpenedImages.open(config, ONE_DEVICE))
    assert measured.seconds_per_step == seconds


@pytest.mark.parametrize(
    "variant",
    [
        {"alternation_steps": "2"},
        pytest.param({"alternation_steps": "epoch"}, marks=pytest.mark.slow),
        pytest.param({"eta_momentum": 0.8}, marks=pytest.mark.slow),
    ],
)
def test_a_step_that_remembers_images_is_measured(variant, tmp_path):
    config = tiny_config(tmp_path)
    method = dataclasses.replace(config.model.of_method, **{"alternation_steps": "1", **variant})
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, of_method=method))
    execute, model = trial.step_on_one_batch(config, ONE_DEVICE, OpenedImages.open(config, ONE_DEVICE))
    assert model.targets.table is not None
    assert -1 <= execute(1).logs["loss"] <= 1
