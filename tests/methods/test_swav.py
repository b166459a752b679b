import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.common import normalize
from simsiam_tf.losses.swav import sinkhorn, swapped_prediction
from simsiam_tf.optim import LARS
from tests.methods.test_methods import assert_one_equals_two, make, make_views


def unit_columns(kernel):
    return kernel / np.linalg.norm(kernel, axis=0)


def test_loss_is_of_cosines_with_the_prototypes(rng):
    model, views = make("swav", queue_size=0), make_views(rng)
    z = [normalize(model.projector(model.backbone(view))) for view in views]
    scores = [tf.matmul(view, unit_columns(model.prototypes.kernel.numpy())) for view in z]
    expected = tf.reduce_mean(swapped_prediction(scores, [sinkhorn(s) for s in scores], model.temperature))
    loss, _ = model.compute_ssl_loss({"views": views}, training=False)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("prototype_norm", ["gradient", "outside"])
def test_prototypes_stay_through_the_frozen_epochs(rng, prototype_norm):
    model = make("swav", freeze_prototypes_epochs=1, steps_per_epoch=2, prototype_norm=prototype_norm)
    first = unit_columns(model.prototypes.kernel.numpy())
    for step in range(3):
        model.train_step(make_views(rng))
        moved = np.abs(unit_columns(model.prototypes.kernel.numpy()) - first).max()
        assert (moved < 1e-6) == (step < 2), step


def test_outside_sets_the_length_of_the_prototypes_after_each_step(rng):
    model = make("swav", prototype_norm="outside")
    for _ in range(2):
        np.testing.assert_allclose(np.linalg.norm(model.prototypes.kernel.numpy(), axis=0), 1.0, atol=1e-6)
        model.train_step(make_views(rng))
    np.testing.assert_allclose(np.linalg.norm(model.prototypes.kernel.numpy(), axis=0), 1.0, atol=1e-6)


@pytest.mark.parametrize("lars_exclude", [True, False])
def test_prototypes_of_length_1_and_lars_are_the_same_on_one_replica_and_on_two(
    rng, two_replicas, float64, lars_exclude
):
    """Its authors' settings: LARS on every parameter."""

    def made():
        model = make("swav", prototype_norm="outside")
        model.compile(LARS(0.5, 0.9, 1e-2, excluded=model.norms_and_biases if lars_exclude else []), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        return model

    assert_one_equals_two(two_replicas, made, {"views": make_views(rng)})


def test_codes_take_the_queue_s_part_once_it_is_used(rng):
    model = make("swav", queue_size=16, queue_from_epoch=1, steps_per_epoch=1)
    alone, earlier, views = make("swav", queue_size=0), make_views(rng), make_views(rng)

    def loss(model, views, training=False):
        return float(model.compute_ssl_loss({"views": views}, training=training)[0])

    model.optimizer.iterations.assign(1)
    assert loss(model, views) == pytest.approx(loss(alone, views), abs=1e-5)  # empty
    model.optimizer.iterations.assign(0)
    loss(model, earlier, training=True)
    trained = {v.path: v for v in model.variables}
    for variable in alone.variables:
        variable.assign(trained[variable.path])
    assert loss(model, views) == pytest.approx(loss(alone, views), abs=1e-5)  # not used yet
    model.optimizer.iterations.assign(1)
    c = unit_columns(model.prototypes.kernel.numpy())
    z = [normalize(model.projector(model.backbone(view))) for view in views]
    codes = [sinkhorn(tf.matmul(tf.concat([view, model.queue[:, i]], 0), c))[:16] for i, view in enumerate(z)]
    expected = tf.reduce_mean(swapped_prediction([tf.matmul(view, c) for view in z], codes))
    assert loss(model, views) == pytest.approx(float(expected), abs=1e-5)
    assert loss(model, views) != pytest.approx(loss(alone, views), abs=1e-5)


def test_small_views_predict_both_codes_on_one_replica_and_on_two(rng, two_replicas, float64):
    """Multi-crop: four predictions of each large view's code but its own."""
    small = tuple(tf.constant(rng.standard_normal((16, 8, 8, 3))) for _ in range(2))
    views = (*make_views(rng), *small)
    model = make("swav", queue_size=0)
    z = [normalize(model.projector(model.backbone(view, training=True), training=True)) for view in views]
    c = unit_columns(model.prototypes.kernel.numpy())
    scores = [tf.matmul(view, c) for view in z]
    expected = tf.reduce_mean(swapped_prediction(scores, [sinkhorn(s) for s in scores[:2]]))
    losses = [float(model.compute_ssl_loss({"views": views}, training=True)[0])]
    with two_replicas.scope():
        model = make("swav", queue_size=0)
    data = two_replicas.experimental_distribute_values_from_function(
        lambda c: tuple(view[8 * c.replica_id_in_sync_group :][:8] for view in views)
    )
    step = tf.function(lambda: two_replicas.run(lambda v: model.compute_ssl_loss({"views": v}, True)[0], args=(data,)))
    losses.append(float(two_replicas.reduce("MEAN", step(), axis=None)))
    np.testing.assert_allclose(losses, expected, atol=1e-10)


def test_settings_in_epochs_need_to_know_their_length():
    with pytest.raises(ValueError, match=r"give it steps_per_epoch and epochs\. Received: steps_per_epoch=0"):
        make("swav", freeze_prototypes_epochs=1, steps_per_epoch=0)
    with pytest.raises(ValueError, match="BYOL has a setting that counts in epochs"):
        make("byol", steps_per_epoch=0)
    with pytest.raises(ValueError, match="SimSiam has a setting that counts in epochs"):
        make("simsiam", alternation_steps="epoch", steps_per_epoch=0)


def test_without_stop_gradient_codes_are_learned_through(rng):
    views = make_views(rng)
    gradients = [make("swav", stop_gradient=stop).loss_gradients(views) for stop in (True, False)]
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(*gradients, strict=True))
