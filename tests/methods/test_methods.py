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
    views = make_views(rng)

    def train(strategy, replicas):
        with strategy.scope():
            model = make(method)
        share = len(views[0]) // replicas
        data = strategy.experimental_distribute_values_from_function(
            lambda c: tuple(x[share * c.replica_id_in_sync_group :][:share] for x in views)
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


def test_mixed_precision_keeps_float32_weights_and_loss(method, rng):
    views = make_views(rng)
    exact = float(make(method).train_step(views)["loss"])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make(method)
        loss, _ = model.compute_ssl_loss({"views": views}, training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert loss.dtype == tf.float32
    assert all(v.dtype == "float32" for v in model.variables)
    assert float(loss) == pytest.approx(exact, abs=0.05)


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
