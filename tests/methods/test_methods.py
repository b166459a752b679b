"""The battery that every method passes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import SGD, resnet18
from simsiam_tf.methods import METHODS
from simsiam_tf.methods.base import as_batch


def make(method: str, **kwargs):
    keras.utils.set_random_seed(0)
    backbone = resnet18(cifar_stem=True, width=0.125)
    model = METHODS[method](backbone, projector_dim=32, projector_layers=2, predictor_dim=8, **kwargs)
    model.compile(SGD(0.05), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def make_views(rng, batch=16, size=16):
    coarse = rng.standard_normal((batch, 4, 4, 3)).repeat(size // 4, 1).repeat(size // 4, 2)
    noise = rng.standard_normal((2, batch, size, size, 3))
    return tuple(tf.constant(coarse + 0.3 * n, keras.config.floatx()) for n in noise)


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


def test_all_variables_exist_once_it_is_constructed(method, rng):
    model = make(method)
    before = len(model.variables)
    model.train_step(make_views(rng))
    assert len(model.variables) == before
    paths = [v.path for v in model.variables]
    assert len(set(paths)) == len(paths)


def test_a_few_steps_lower_the_loss(method, rng):
    model, views = make(method), make_views(rng)
    step, losses = tf.function(model.train_step, autograph=False), []
    for _ in range(12):
        model.reset_metrics()
        losses.append(float(step(views)["loss"]))
    assert losses[-1] < losses[0] - 0.2


def test_one_replica_equals_two(method, rng, two_replicas, float64):
    batch = {"views": make_views(rng), "labels": tf.constant(rng.integers(0, 3, 16))}

    def train(strategy, replicas):
        with strategy.scope():
            model = make(method, online_probe_classes=3)
        share = 16 // replicas
        data = strategy.experimental_distribute_values_from_function(
            lambda c: tf.nest.map_structure(lambda x: x[share * c.replica_id_in_sync_group :][:share], batch)
        )
        step = tf.function(lambda: strategy.run(model.train_step, args=(data,)), autograph=False)
        for _ in range(3):
            step()
        results = {v.path: v.numpy() for v in [*model.variables, *model.optimizer.variables]}
        return results | {name: tracker.result().numpy() for name, tracker in model.trackers.items()}

    one, two = train(tf.distribute.OneDeviceStrategy("/cpu:0"), 1), train(two_replicas, 2)
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-10, err_msg=name)


def test_an_online_probe_learns_and_leaves_the_method_as_it_is(method, rng):
    labels = tf.constant(np.arange(16) % 3)
    batch = {"views": make_views(rng), "labels": labels}
    alone, beside = make(method), make(method, online_probe_classes=3)
    for model in (alone, beside):
        step = tf.function(model.train_step, autograph=False)
        for _ in range(12):
            model.reset_metrics()
            logs = step(batch)
    bits = {v.path: v.numpy() for v in [*beside.variables, *beside.optimizer.variables]}
    for variable in [*alone.variables, *alone.optimizer.variables]:
        np.testing.assert_array_equal(variable.numpy(), bits[variable.path], err_msg=variable.path)
    assert "online_probe_train_top1" in beside.step_log_names
    assert float(logs["online_probe_train_top1"]) > 60
    assert np.abs(beside.online_probe.kernel.numpy()).max() > 0.05


def test_parts_of_a_batch_add_up_on_one_replica_and_on_two(method, rng, two_replicas, float64):
    """The update is that of the parts' mean gradient, each part with batch statistics of its own."""
    halves = [tuple(view[8 * i :][:8] for view in make_views(rng)) for i in range(2)]
    by_hand = make(method)
    before = [v.numpy() for v in by_hand.trainable_variables]
    parts = [by_hand.loss_gradients(half) for half in halves]
    moved = [v.numpy() for v in by_hand.non_trainable_variables]

    def train(strategy, replicas):
        with strategy.scope():
            model = make(method)
            model.accumulate_over(2)

        def share(view):
            n = len(view) // replicas
            return strategy.experimental_distribute_values_from_function(
                lambda c: view[n * c.replica_id_in_sync_group :][:n]
            )

        for function, half in zip((model.accumulate_step, model.train_step), halves, strict=True):
            data = tuple(map(share, half))
            tf.function(lambda f=function, d=data: strategy.run(f, args=(d,)), autograph=False)()
        assert all(np.all(v.numpy() == 0) for total in model.accumulators for v in getattr(total, "values", [total]))
        return model

    for model in (train(tf.distribute.OneDeviceStrategy("/cpu:0"), 1), train(two_replicas, 2)):
        rate, decay = 0.05, model.optimizer.l2
        for variable, start, first, second in zip(model.trainable_variables, before, *parts, strict=True):
            expected = start - rate * ((first + second) / 2 + decay * start)
            np.testing.assert_allclose(variable.numpy(), expected, atol=1e-12, err_msg=variable.path)
        for variable, value in zip(model.non_trainable_variables, moved, strict=True):
            np.testing.assert_allclose(variable.numpy(), value, atol=1e-12, err_msg=variable.path)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_keeps_float32_weights_and_loss(method, rng, precision):
    views = make_views(rng)
    exact = float(make(method).train_step(views)["loss"])
    keras.config.set_dtype_policy(f"mixed_{precision}")
    try:
        model = make(method)
        loss, _ = model.compute_ssl_loss({"views": views}, training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert loss.dtype == tf.float32
    assert all(v.dtype == "float32" for v in model.variables)
    assert float(loss) == pytest.approx(exact, abs=0.05)


def test_our_loss_scaling_is_not_wrapped_in_keras_s(method):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make(method)
        assert type(model.optimizer) is not SGD  # Keras' wrapper, around an optimizer that does not scale
        model.compile(SGD(0.05, scale_loss=True))
        assert type(model.optimizer) is SGD
    finally:
        keras.config.set_dtype_policy("float32")


def test_fit_takes_plain_pairs_and_our_dictionaries(method, rng):
    model, (x1, x2) = make(method), make_views(rng)
    pairs = tf.data.Dataset.from_tensors((x1, x2)).repeat(2)
    dictionaries = pairs.map(lambda a, b: {"views": (a, b), "index": tf.range(16, dtype=tf.int64)})
    for dataset in (pairs, dictionaries):
        history = model.fit(dataset, epochs=1, verbose=0).history
        assert set(history) == {"loss", *model.log_names, "learning_rate"}
    assert int(model.optimizer.iterations.numpy()) == 4


def test_data_of_another_form_is_refused():
    with pytest.raises(ValueError, match=r"must be a pair of views .* Received: list of length 3"):
        as_batch([1, 2, 3])
