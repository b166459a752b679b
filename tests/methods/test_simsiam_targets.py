"""Targets that outlive their step (paper Sec. 5.2): alternation, and the moving average over epochs."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.errors import UsageError
from simsiam_tf.methods.simsiam_targets import CachedTargets
from simsiam_tf.training import factory as build
from tests.methods.test_methods import make, make_views

N, STEPS = 16, 4


@pytest.fixture
def batches(rng):
    """Four steps of two epochs over 32 images."""

    def batch(step):
        first = N * step
        order = rng.permutation(2 * N) if step % 2 == 0 else batch.order
        batch.order = order
        index = order[first % (2 * N) :][:N]
        return {
            "views": make_views(rng),
            "index": tf.constant(index, tf.int64),
            "position": tf.range(first, first + N, dtype=tf.int64),
        }

    return [batch(step) for step in range(STEPS)]


def values(model):
    return {v.path: v.numpy() for v in [*model.variables, *model.optimizer.variables, *model.metrics_variables]}


def test_turns_of_one_step_are_simsiam_step_for_step(batches, float64):
    """Every weight, velocity, moving statistic and average, though each target is computed beforehand."""
    plain, prepared = make("simsiam"), make("simsiam")
    prepared.targets = CachedTargets(1)
    prepared.targets.make_table(prepared.targets.table_shape(100, N, 32))
    for batch in batches:
        plain.train_step(batch)
        prepared.targets.precompute(prepared, batch)
        prepared.train_step(batch)
    expected = values(plain)
    for path, value in values(prepared).items():
        np.testing.assert_allclose(value, expected[path], atol=1e-13, err_msg=path)


@pytest.mark.parametrize(
    "variant", [{"alternation_steps": 2}, {"eta_momentum": 0.8, "steps_per_epoch": 2, "predictor": "identity"}]
)
def test_one_replica_equals_two(batches, two_replicas, float64, variant):
    """The table is one for both: each works on the rows of its own images."""

    def train(strategy, replicas):
        with strategy.scope():
            model = make("simsiam", **variant)
        model.targets.make_table(model.targets.table_shape(2 * N, N, 32))
        assert isinstance(model.targets.table, tf.Variable)
        share = N // replicas

        def of_all(batch):
            return strategy.experimental_distribute_values_from_function(
                lambda c: tf.nest.map_structure(lambda x: x[share * c.replica_id_in_sync_group :][:share], batch)
            )

        look, step = (
            tf.function(lambda data, f=f: strategy.run(f, args=(data,)), autograph=False)
            for f in (functools.partial(model.targets.precompute, model), model.train_step)
        )
        for number, batch in enumerate(batches):
            turn = model.targets.lookahead_window(number)
            for coming in batches[number : turn.stop] if turn and number == turn.start else ():
                look(of_all(coming))
            step(of_all(batch))
        return values(model) | {"table": model.targets.table.numpy()}

    one, two = train(tf.distribute.OneDeviceStrategy("/cpu:0"), 1), train(two_replicas, 2)
    assert np.abs(one["table"]).min(axis=-1).max() > 0
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-10, err_msg=name)


def test_a_table_that_does_not_fit_is_refused_with_its_size(monkeypatch, console, capsys):
    model = make("simsiam", alternation_steps=10)  # of d = 32
    monkeypatch.setattr(build, "available_memory", lambda: 2**30)
    build.make_target_table(model, ShuffledOrder(10_000, 100, 0))
    assert "1000 x 2 x 32 numbers, 0.000238 GiB" in capsys.readouterr().out
    with pytest.raises(
        UsageError,
        match=r"twice the table of targets; 1 GiB are free. .* Received: 3000000 x 2 x 32 numbers, 0.715 GiB",
    ):
        build.make_target_table(model, ShuffledOrder(10_000_000, 300_000, 0))
