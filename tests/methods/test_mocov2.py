import numpy as np
import tensorflow as tf

from simsiam_tf.losses.common import normalize
from simsiam_tf.losses.mocov2 import mocov2_loss
from tests.methods.test_methods import make, make_views


def test_loss_is_of_queries_keys_and_the_queue_before_they_join_it(rng):
    model, views = make("mocov2"), make_views(rng)
    queue = tf.constant(model.queue.numpy())
    q = model.projector(model.backbone(views[0])), model.projector(model.backbone(views[1]))
    expected = tf.reduce_mean(mocov2_loss(q, model.momentum_encoder(views), queue, model.temperature))
    loss, _ = model.compute_ssl_loss({"views": views}, training=False)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_array_equal(model.queue.numpy(), queue)  # nothing joins it outside of training


def test_the_queue_begins_with_directions_and_takes_the_newest_keys_first(rng):
    model = make("mocov2")  # of 64 keys; a batch brings 32
    first = model.queue.numpy()
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0, atol=1e-6)
    keys = []
    for _ in range(3):
        views = make_views(rng)
        before = [v.numpy() for v in model.momentum_encoder.variables]
        k = [normalize(z).numpy() for z in model.momentum_encoder(views, training=True)]
        for variable, value in zip(model.momentum_encoder.variables, before, strict=True):
            variable.assign(value)
        keys.append(np.stack(k, axis=1).reshape(32, -1))
        model.compute_ssl_loss({"views": views}, training=True)
        if len(keys) == 1:
            np.testing.assert_allclose(model.queue.numpy()[32:], first[:32])
    np.testing.assert_allclose(model.queue.numpy(), np.concatenate([keys[2], keys[1]]), atol=1e-5)


def test_the_momentum_encoder_follows_after_each_step(rng):
    model = make("mocov2", ema_momentum=0.75)
    before = [v.numpy() for v in model.momentum_encoder.variables]
    model.train_step(make_views(rng))
    online = [*model.backbone.variables, *model.projector.variables]
    for copy, old, theta in zip(model.momentum_encoder.variables, before, online, strict=True):
        if theta.trainable:
            np.testing.assert_allclose(copy.numpy(), 0.75 * old + 0.25 * theta.numpy(), atol=1e-6)
