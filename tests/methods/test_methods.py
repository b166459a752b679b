"""The battery that every method passes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import SGD
from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.methods import METHOD_CONFIGS
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import pretraining_dataset, with_views
from simsiam_tf.data.sources import open_source
from simsiam_tf.distribute.input import Share
from simsiam_tf.features.metrics import effective_rank, spectrum
from simsiam_tf.methods import METHODS
from simsiam_tf.methods.batch import as_batch
from simsiam_tf.networks.normalization import BatchNormalization

# Of the settings that a method has, those that make it small.
TINY = {
    "projector_dim": 32,
    "projector_layers": 2,
    "projector_hidden_dim": 0,
    "predictor_dim": 8,
    "num_prototypes": 12,
    "queue_size": 64,
    "temperature": 0.1,
    "freeze_prototypes_epochs": 0,
    "queue_from_epoch": 0,
    "steps_per_epoch": 4,
    "epochs": 4,
}


def tiny_backbone() -> keras.Model:
    """Two convolutions with the batch norm that replicas share: a ResNet's takes a minute to trace on two of them."""
    x = inputs = keras.Input((None, None, 3))
    for i, width in enumerate((16, 32), 1):
        x = keras.layers.Conv2D(width, 3, 2, "same", use_bias=False, name=f"conv{i}")(x)
        x = keras.layers.ReLU(name=f"relu{i}")(BatchNormalization(name=f"bn{i}")(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="backbone")


def make(method: str, **kwargs):
    keras.utils.set_random_seed(0)
    backbone = tiny_backbone()
    known = {*METHOD_CONFIGS[method]().values().keys(), "steps_per_epoch", "epochs"}
    model = METHODS[method](backbone, **{name: value for name, value in TINY.items() if name in known} | kwargs)
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


def test_norms_and_biases_are_found_by_their_role(method):
    """Everything that is trained besides is a matrix, or a convolution's kernel."""
    model = make(method)
    found = {id(v) for v in model.norms_and_biases}
    for variable in model.trainable_variables:
        assert (id(variable) in found) == (len(variable.shape) == 1), variable.path


def test_a_few_steps_lower_the_loss(method, rng):
    model, views = make(method), make_views(rng)
    step, losses = tf.function(model.train_step, autograph=False), []
    queue = getattr(model, "queue", None)
    if queue is not None:
        for seed in (1, 2):  # fills it with other images, as a larger data set does
            model.compute_ssl_loss({"views": make_views(np.random.default_rng(seed))}, training=True)
        others = queue.numpy()
    for _ in range(12):
        model.reset_metrics()
        if queue is not None:
            queue.assign(others)
        losses.append(float(step(views)["loss"]))
    assert losses[-1] < losses[0] - 0.2


@pytest.fixture(scope="module")
def batches_of_shapes():
    """60 steps on the built-in data set, as a run sees them."""
    source = open_source(DataConfig(dataset="shapes", max_examples=256), "train")
    views = POLICIES["simsiam_cifar"]
    dataset = pretraining_dataset(source, ShuffledOrder(256, 64, seed=0), views, 32, Share(64), stop_step=60)
    return list(with_views(dataset, views, 32))


def short_run(model, batches):
    """The standard deviation of z in the last steps, and the last loss."""
    step, stds = tf.function(model.train_step, autograph=False), []
    for batch in batches:
        model.reset_metrics()
        logs = step(batch)
        stds.append(float(logs["z_std_scaled"]))
    return np.mean(stds[-10:]), float(logs["loss"])


COLLAPSED_STD = 2 / 64**0.5  # where batch statistics leave a collapse of batches of 64


def test_a_short_run_on_shapes_does_not_collapse(method, batches_of_shapes):
    model = make(method)
    std, loss = short_run(model, batches_of_shapes)
    assert np.isfinite(loss)
    assert std > COLLAPSED_STD
    features = np.concatenate([model.backbone(view) for view in batches_of_shapes[0]["views"]])
    assert effective_rank(spectrum(features)) > 5


def test_a_short_run_is_long_enough_for_a_collapse(batches_of_shapes):
    """BYOL without its momentum encoder and its predictor."""
    std, loss = short_run(make("byol", ema_momentum=0.0, predictor="identity"), batches_of_shapes)
    assert std < COLLAPSED_STD
    assert loss < 0.1


def trained_on(strategy, replicas, make_model, batch):
    """What three steps on a global batch leave: variables, the optimizer's too, and what was logged."""
    with strategy.scope():
        model = make_model()
    share = 16 // replicas
    data = strategy.experimental_distribute_values_from_function(
        lambda c: tf.nest.map_structure(lambda x: x[share * c.replica_id_in_sync_group :][:share], batch)
    )
    step = tf.function(lambda: strategy.run(model.train_step, args=(data,)), autograph=False)
    for _ in range(3):
        step()
    results = {v.path: v.numpy() for v in [*model.variables, *model.optimizer.variables]}
    return results | {name: tracker.result().numpy() for name, tracker in model.trackers.items()}


def assert_one_equals_two(two_replicas, make_model, batch):
    one = trained_on(tf.distribute.OneDeviceStrategy("/cpu:0"), 1, make_model, batch)
    two = trained_on(two_replicas, 2, make_model, batch)
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-10, err_msg=name)


def test_one_replica_equals_two(method, rng, two_replicas, float64):
    batch = {"views": make_views(rng), "labels": tf.constant(rng.integers(0, 3, 16))}
    assert_one_equals_two(two_replicas, lambda: make(method, online_probe_classes=3), batch)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["simsiam", "byol"])  # BYOL has a copy of the backbone besides
def test_one_replica_equals_two_with_keras_own_batch_norm(method, rng, two_replicas, float64, monkeypatch):
    monkeypatch.setitem(globals(), "BatchNormalization", keras.layers.BatchNormalization)
    assert_one_equals_two(two_replicas, lambda: make(method), {"views": make_views(rng)})


def test_two_models_train_on_the_same_replicas(rng, two_replicas, caplog):
    """The second model has layers of other shapes, and the first goes on after it."""
    pairs = tf.data.Dataset.from_tensor_slices(make_views(rng)).batch(16)
    with two_replicas.scope():
        models = [make("simsiam", projector_dim=dim) for dim in (32, 24)]
    for model in (*models, models[0]):
        assert np.isfinite(model.fit(pairs, verbose=0).history["loss"]).all()
    assert "MirroredStrategy" not in caplog.text


def test_a_second_strategy_on_the_same_devices_is_warned_of(two_replicas, caplog):
    """TensorFlow gives both the same keys (docs/upstream.md), and a failed collective would end all later tests."""
    for strategy in (two_replicas, tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])):
        assert "Make one strategy" not in caplog.text
        with strategy.scope():
            make("simsiam")
    assert caplog.text.count("Make one strategy, and all models in its scope") == 1


def test_an_online_probe_learns_and_leaves_the_method_as_it_is(method, rng):
    labels = tf.constant(np.arange(16) % 3)
    batch = {"views": make_views(rng), "labels": labels}
    alone, beside = make(method), make(method, online_probe_classes=3)
    for model in (alone, beside):
        step = tf.function(model.train_step, autograph=False)
        for _ in range(40):
            model.reset_metrics()
            logs = step(batch)
    bits = {v.path: v.numpy() for v in [*beside.variables, *beside.optimizer.variables]}
    for variable in [*alone.variables, *alone.optimizer.variables]:
        np.testing.assert_array_equal(variable.numpy(), bits[variable.path], err_msg=variable.path)
    assert "online_probe_train_top1" in beside.step_log_names
    assert float(logs["online_probe_train_top1"]) > 60
    assert np.abs(beside.online_probe.kernel.numpy()).max() > 0.05


@pytest.mark.slow
def test_parts_of_a_batch_add_up_on_one_replica_and_on_two(method, rng, two_replicas, float64):
    """The update is that of the parts' mean gradient, each part with batch statistics of its own."""
    halves = [tuple(view[8 * i :][:8] for view in make_views(rng)) for i in range(2)]
    by_hand = make(method)
    before = [v.numpy() for v in by_hand.trainable_variables]
    parts = [by_hand.loss_gradients(half) for half in halves]
    rate, decay = 0.05, by_hand.optimizer.l2
    expected = [
        start - rate * ((first + second) / 2 + decay * start)
        for start, first, second in zip(before, *parts, strict=True)
    ]
    for variable, value in zip(by_hand.trainable_variables, expected, strict=True):
        variable.assign(value)
    by_hand.optimizer.iterations.assign_add(1)
    by_hand.after_step()

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
        assert len(model.variables) == len(by_hand.variables)
        for variable, value in zip(model.variables, by_hand.variables, strict=True):
            np.testing.assert_allclose(variable.numpy(), value.numpy(), atol=1e-12, err_msg=variable.path)


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
        assert set(history) == {"loss", *model.log_names, "learning_rate", "gradient_norm", "left_out"}
    assert int(model.optimizer.iterations.numpy()) == 4


def test_data_of_another_form_is_refused():
    with pytest.raises(ValueError, match=r"must be a pair of views .* Received: list of length 3"):
        as_batch([1, 2, 3])
    with pytest.raises(ValueError, match=r"must be a pair of views .* Received: \w*Tensor\."):
        as_batch(tf.zeros([8, 4, 4, 3]))
    views = tf.zeros([8, 4, 4, 3]), tf.ones([8, 4, 4, 3])
    assert as_batch((views,))["views"] == views  # what Keras makes of fit((x1, x2))
