import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import LARS, SGD, SimSiam, WarmupCosine, resnet18
from simsiam_tf.optim import scaled_learning_rate


def test_sgd_is_pytorch_s_under_a_schedule(float64, rng):
    start = rng.standard_normal(5)
    gradients = rng.standard_normal((4, 5))
    schedule = WarmupCosine(0.3, 10)
    variable, optimizer = keras.Variable(start), SGD(schedule, 0.9, 0.1)
    w, v = start.copy(), np.zeros(5)
    for step, gradient in enumerate(gradients):
        optimizer.apply_gradients([(gradient, variable)])
        v = 0.9 * v + gradient + 0.1 * w
        w = w - float(schedule(step)) * v
    np.testing.assert_allclose(variable.numpy(), w, atol=1e-14)


def test_an_override_gives_variables_their_own_rate(float64):
    a, b = keras.Variable([1.0]), keras.Variable([1.0])
    optimizer = SGD(0.1, 0.0, 0.0, overrides=[([b], WarmupCosine(0.5, 2))])
    for _ in range(2):
        optimizer.apply_gradients([(np.ones(1), a), (np.ones(1), b)])
    np.testing.assert_allclose([a.numpy()[0], b.numpy()[0]], [0.8, 1 - 0.5 - 0.25])


def test_lars_leaves_a_zero_variable_unadapted(float64):
    variable = keras.Variable(np.zeros(3))
    LARS(1.0, 0.0).apply_gradients([(np.ones(3), variable)])
    np.testing.assert_array_equal(variable.numpy(), -np.ones(3))


def test_schedule_warms_up_then_decays_to_zero(float64):
    schedule = WarmupCosine(2.0, 10, warmup_steps=4)
    rates = [float(schedule(step)) for step in range(11)]
    np.testing.assert_allclose(rates[:5], [0.4, 0.8, 1.2, 1.6, 2.0])
    np.testing.assert_allclose(rates[7], 1.0)
    assert rates[10] == pytest.approx(0, abs=1e-15)


def test_lars_excludes_variables_from_adaptation_and_decay(float64):
    adapted, excluded = (keras.Variable([3.0, 4.0], name=name) for name in ("kernel", "bias"))
    optimizer = LARS(0.5, weight_decay=0.1, excluded=[excluded])
    optimizer.build([adapted, excluded])
    gradient = tf.constant([0.0, 1.0], tf.float64)
    optimizer.apply([gradient, gradient])
    scale = 1e-3 * 5 / (1 + 0.1 * 5)
    np.testing.assert_allclose(adapted.numpy(), [3 - 0.5 * scale * 0.3, 4 - 0.5 * scale * 1.4], atol=1e-9)
    np.testing.assert_allclose(excluded.numpy(), [3.0, 3.5], atol=1e-15)


def test_schedule_can_end_above_zero(float64):
    rate = WarmupCosine(2.0, total_steps=10, warmup_steps=2, final=0.1)
    assert float(rate(0)) == pytest.approx(2 / 3)
    assert float(rate(2)) == pytest.approx(2.0)
    assert float(rate(6)) == pytest.approx(1.1)
    assert float(rate(10)) == pytest.approx(0.2)


def test_schedule_can_hold_the_rate_for_an_epoch(float64):
    schedule = WarmupCosine(1.0, 30, steps_per_update=10)
    rates = [float(schedule(step)) for step in range(30)]
    np.testing.assert_allclose(rates, np.repeat((1 + np.cos(np.pi * np.array([0, 10, 20]) / 30)) / 2, 10))


def test_schedule_is_computed_in_floatx(float64):
    exact = 0.1 * (1 + np.cos(np.pi * 123 / 1000)) / 2
    assert float(WarmupCosine(0.1, 1000)(123)) == pytest.approx(exact, abs=1e-16)


def test_linear_scaling():
    assert scaled_learning_rate(0.05, 512) == pytest.approx(0.1)


@pytest.mark.slow
def test_updates_do_not_depend_on_the_timing_of_threads(rng):
    """The same three steps from the same weights, to the bit; as one sum in the optimizer many differed."""
    model = SimSiam(resnet18(cifar_stem=True, width=0.25), 512, 2, predictor_dim=128)
    model.compile(SGD(0.15), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    batches = [tuple(tf.constant(x, tf.float32) for x in rng.standard_normal((2, 128, 32, 32, 3))) for _ in range(3)]
    variables = [*model.variables, *model.optimizer.variables]
    initial, step, first = [v.numpy() for v in variables], tf.function(model.train_step, autograph=False), None
    for _ in range(8):
        for variable, value in zip(variables, initial, strict=True):
            variable.assign(value)
        for views in batches:
            step(views)
        result = [v.numpy() for v in variables]
        first = first or result
        for variable, ours, theirs in zip(variables, first, result, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=variable.path)


def scaled_steps(strategy, gradients):
    """Steps with loss scaling, one gradient for each replica; weights, velocity and scale after each."""
    with strategy.scope():
        variable, optimizer = keras.Variable(np.ones(3, np.float32)), SGD(0.5, 0.9, 0.0, scale_loss=True)
        optimizer.build([variable])
    states = []
    for step in gradients:
        scale = optimizer.loss_scale.numpy()
        share = strategy.experimental_distribute_values_from_function(
            lambda c, step=step, scale=scale: tf.constant(np.float32(scale) * step[c.replica_id_in_sync_group])
        )
        run = tf.function(lambda g: strategy.run(lambda g: optimizer.apply_gradients([(g, variable)]), args=(g,)))
        run(share)
        states.append((variable.numpy(), optimizer.velocities[0].numpy(), float(optimizer.loss_scale.numpy())))
    assert int(optimizer.iterations.numpy()) == len(gradients)  # a skipped step counts
    return states


def test_an_overflow_on_any_replica_skips_the_step_on_all(two_replicas):
    good, bad = np.float32([[1, 2, 3], [0, 0, 1]]), np.float32([[1, 2, 3], [0, np.inf, 1]])
    first, second, third = scaled_steps(two_replicas, [good, bad, good])
    np.testing.assert_allclose(first[0], 1 - 0.5 * np.float32([1, 2, 4]))
    np.testing.assert_array_equal(second[0], first[0])
    np.testing.assert_array_equal(second[1], first[1])
    assert (first[2], second[2], third[2]) == (2.0**15, 2.0**14, 2.0**14)
    np.testing.assert_allclose(third[1], np.float32([1, 2, 4]) * 1.9)


def test_the_loss_scale_grows_after_many_good_steps(monkeypatch):
    monkeypatch.setattr(SGD, "_GROW_EVERY", 3)
    good = np.float32([[1, 2, 3]])
    scales = [s[2] for s in scaled_steps(tf.distribute.OneDeviceStrategy("/cpu:0"), [good] * 7)]
    assert scales == [2.0**15, 2.0**15, 2.0**16, 2.0**16, 2.0**16, 2.0**17, 2.0**17]


def test_scaling_multiplies_the_loss(float64):
    optimizer = SGD(0.1, scale_loss=True)
    optimizer.build([keras.Variable(1.0)])
    assert float(optimizer.scale_loss(tf.constant(2.0))) == 2.0**16
    assert float(SGD(0.1).scale_loss(tf.constant(2.0))) == 2.0


@pytest.mark.parametrize("make", [lambda: SGD(0.1, 0.9, 0.1), lambda: LARS(0.1, 0.9, 0.1)], ids=["sgd", "lars"])
def test_a_gradient_that_is_not_finite_changes_nothing(make):
    """Not even the variables whose own gradient is finite."""
    a, b = keras.Variable(np.ones(3, np.float32)), keras.Variable(np.ones(2, np.float32))
    optimizer = make()
    optimizer.apply_gradients([(tf.ones(3), a), (tf.ones(2), b)])
    before = [v.numpy() for v in (a, b, *optimizer.velocities)]
    optimizer.apply_gradients([(tf.ones(3), a), (tf.constant([1.0, np.nan]), b)])
    assert not np.isfinite(optimizer.gradient_norm)
    for variable, value in zip((a, b, *optimizer.velocities), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert int(optimizer.iterations) == 2


def test_the_length_of_the_gradient_is_that_of_the_sum_over_replicas(two_replicas):
    with two_replicas.scope():
        variable, optimizer = keras.Variable(np.zeros(2)), SGD(0.1)
        optimizer.build([variable])

    def step():
        number = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, variable.dtype)
        optimizer.apply_gradients([(tf.stack([3 * number, 2 + 2 * number - 2]), variable)])
        return optimizer.gradient_norm

    norms = two_replicas.experimental_local_results(tf.function(lambda: two_replicas.run(step))())
    np.testing.assert_allclose(norms, [13**0.5] * 2, rtol=1e-6)  # of (0 + 3, 0 + 2)
