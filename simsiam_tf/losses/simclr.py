"""NT-Xent, SimCLR's loss (Chen et al. 2020, Eq. 1; SimSiam's paper Sec. 6.2 for its variants)."""

from collections.abc import Sequence

import tensorflow as tf

from simsiam_tf.losses.simsiam import normalize


def nt_xent(
    anchors: Sequence[tf.Tensor],
    keys: Sequence[tf.Tensor],
    temperature: float = 0.1,
    first: tf.Tensor | int = 0,
    stop_gradient: bool = False,
) -> tf.Tensor:
    """-log exp(a . k+ / T) / sum exp(a . k / T) of each image, the mean of its two views' (SimCLR, Eq. 1).

    An anchor's positive k+ is the same image's other view; the sum is over both views of every image but the anchor's
    own view.

    Args:
        anchors: of view 1 and of view 2, `[B, d]`: SimCLR's z, or p with a predictor.
        keys: of view 1 and of view 2, of the global batch, `[G, d]`: z.
        temperature: T.
        first: the row of the keys that the first anchor's image has.
        stop_gradient: treat the keys as constants (Sec. 6.2); SimCLR itself does not.

    Returns:
        `[B]`, positive.
    """
    if stop_gradient:
        keys = [tf.stop_gradient(k) for k in keys]
    a, k = [normalize(x) for x in anchors], [normalize(x) for x in keys]
    own = first + tf.range(tf.shape(a[0])[0])  # [B]
    itself = tf.one_hot(own, tf.shape(k[0])[0], dtype=a[0].dtype)  # [B, G]

    def loss(view):
        other = 1 - view
        similar = tf.matmul(a[view], k[other], transpose_b=True) / temperature  # [B, G]
        # Its own view is no candidate: as good as minus infinity, whose gradient would be no number.
        among_own = tf.matmul(a[view], k[view], transpose_b=True) / temperature - 1e9 * itself
        logits = tf.concat([similar, among_own], axis=1)  # [B, 2 G]
        return tf.nn.sparse_softmax_cross_entropy_with_logits(own, logits)

    return (loss(0) + loss(1)) / 2.0
