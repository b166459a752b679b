"""Targets that outlive their step (paper Sec. 5.2): alternation, and the moving average over epochs."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.data.pipeline import Order
from simsiam_tf.errors import Stopped, UsageError
from simsiam_tf.methods.simsiam_targets import CachedTargets
from simsiam_tf.training import factory as build
from simsiam_tf.training.loop import _LookAhead
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
    prepared.make_table(prepared.table_shape(100, N))
    for batch in batches:
        plain.train_step(batch)
        prepared.look_ahead(batch)
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
        model.make_table(model.table_shape(2 * N, N))
        assert isinstance(model.table, tf.Variable)
        share = N // replicas

        def of_all(batch):
            return strategy.experimental_distribute_values_from_function(
                lambda c: tf.nest.map_structure(lambda x: x[share * c.replica_id_in_sync_group :][:share], batch)
            )

        look, step = (
            tf.function(lambda data, f=f: strategy.run(f, args=(data,)), autograph=False)
            for f in (model.look_ahead, model.train_step)
        )
        for number, batch in enumerate(batches):
            turn = model.turn(number)
            for coming in batches[number : turn.stop] if turn and number == turn.start else ():
                look(of_all(coming))
            step(of_all(batch))
        return values(model) | {"table": model.table.numpy()}

    one, two = train(tf.distribute.OneDeviceStrategy("/cpu:0"), 1), train(two_replicas, 2)
    assert np.abs(one["table"]).min(axis=-1).max() > 0
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-10, err_msg=name)


@pytest.fixture
def looking():
    """What looks ahead in a run's steps; what it does; the signals that it minds."""
    did = []
    signals = SimpleNamespace(received=False, stopped=lambda step: Stopped(f"at {step}", 143))

    def of(steps, **variant):
        model = make("simsiam", **variant)
        model.look_ahead = did.append
        strategy = SimpleNamespace(run=lambda function, args: function(*args))
        saver = SimpleNamespace(save=lambda: did.append("saved"))

        def batches(start):
            return range(start, 20)

        return _LookAhead(model, strategy, batches, lambda batch: batch, DeviceConfig(), steps, saver, signals)

    return of, did, signals


def test_turns_are_looked_at_before_their_first_step_and_end_with_the_run(looking):
    of, did, _ = looking
    look_ahead = of(range(1, 8), alternation_steps=3)
    assert look_ahead(1) == 2  # within a turn, which the checkpoint has the targets of
    assert not did
    assert [look_ahead(step) for step in (3, 5, 6)] == [3, 1, 3]
    assert did == [3, 4, 5, 6, 7]


def test_moving_targets_have_one_turn_the_first_epoch(looking):
    of, did, _ = looking
    look_ahead = of(range(8), predictor="identity", eta_momentum=0.8, steps_per_epoch=4)
    assert [look_ahead(step) for step in (0, 2, 4)] == [4, 2, 4]
    assert did == [0, 1, 2, 3]
    again = of(range(2, 8), predictor="identity", eta_momentum=0.8, steps_per_epoch=4)
    assert [again(step) for step in (2, 4)] == [2, 4]
    assert len(did) == 4


def test_a_stop_while_looking_ahead_saves_what_was_trained(looking):
    """The turn begins anew afterwards, so nothing of it is lost."""
    of, did, signals = looking
    look_ahead = of(range(1, 9), alternation_steps=3)
    signals.received = True
    with pytest.raises(Stopped, match="at 3"):
        look_ahead(3)
    assert did == [3, "saved"]


def test_a_table_that_does_not_fit_is_refused_with_its_size(monkeypatch, capsys):
    model = make("simsiam", alternation_steps=10)  # of d = 32
    monkeypatch.setattr(build, "available_memory", lambda: 2**30)
    build.make_table(model, Order(10_000, 100, 0))
    assert "1000 x 2 x 32 numbers, 0.000238 GiB" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"of which 1 GiB are free; .* Received: 3000000 x 2 x 32 numbers, 0.715 GiB"):
        build.make_table(model, Order(10_000_000, 300_000, 0))
