"""Cuts equally large feature maps out of regions: RoIAlign (Mask R-CNN, Sec. 3).

Each output is the mean of bilinear samples on a regular grid inside its bin. Both the bilinear weight of a pixel and
the mean are products of a factor for the row and one for the column. RoIAlign is therefore exactly two products of
matrices for each region, `rows . features . columns^T`, with shapes that are known beforehand.
"""

import tensorflow as tf

# The number of regions that are pooled at a time; it bounds the memory.
_CHUNK = 64


def roi_align(
    features: tf.Tensor, boxes: tf.Tensor, output_size: int, scale: float, sampling_ratio: int = 0
) -> tf.Tensor:
    """Pools the features of one image inside boxes (RoIAlign v2, which starts half a pixel earlier than v1).

    A sample beyond the map by more than one pixel counts as 0, others are clamped to the map.

    Args:
        features: the map of one image, `[H, W, C]`.
        boxes: boxes in pixels of the image, `[R, 4]`. No gradient flows to them.
        output_size: o, the side of the result.
        scale: the number of pixels of the map in a pixel of the image, such as 1 / 16.
        sampling_ratio: the number of samples in a bin along each axis; 0 takes as many as the bin has pixels, rounded
            up.

    Returns:
        `[R, o, o, C]`, in the type of the features.

    Example:
        >>> roi_align(tf.ones([4, 4, 1]), tf.constant([[8.0, 8.0, 40.0, 40.0]]), 1, 1 / 16).numpy().round(3).item()
        1.0
    """
    rows = axis_weights(boxes[:, 1], boxes[:, 3], tf.shape(features)[0], output_size, scale, sampling_ratio)
    columns = axis_weights(boxes[:, 0], boxes[:, 2], tf.shape(features)[1], output_size, scale, sampling_ratio)
    rows, columns = (tf.stop_gradient(tf.cast(weights, features.dtype)) for weights in (rows, columns))
    return _pool(features, rows, columns)


def axis_weights(
    start: tf.Tensor,
    end: tf.Tensor,
    length: tf.Tensor | int,
    bins: int,
    scale: float,
    sampling_ratio: int = 0,
    valid_length: tf.Tensor | None = None,
) -> tf.Tensor:
    """Computes how much each pixel of an axis counts in each bin of each region.

    Args:
        start: where each region starts, pixels of the image, `[R]`.
        end: where each region ends, `[R]`.
        length: the number of pixels of the map along the axis.
        bins: o, the number of bins.
        scale: the number of pixels of the map in a pixel of the image.
        sampling_ratio: the number of samples in a bin; 0 takes as many as the bin has pixels, rounded up.
        valid_length: for each region the number of pixels after which there is nothing but padding, `[R]`; samples are
            clamped there. By default all pixels are valid.

    Returns:
        `[R, o, length]`, in the type of `start`.

    Example:
        >>> axis_weights(tf.constant([0.0]), tf.constant([2.0]), 3, bins=1, scale=1.0).numpy().tolist()
        [[[0.5, 0.5, 0.0]]]
    """
    dtype = start.dtype
    first = start * tf.constant(scale, dtype) - 0.5
    step = (end * tf.constant(scale, dtype) - 0.5 - first) / bins  # the length of a bin
    counts = tf.fill(tf.shape(step), tf.cast(sampling_ratio, dtype)) if sampling_ratio else tf.math.ceil(step)
    edges = first[:, tf.newaxis] + tf.range(bins, dtype=dtype) * step[:, tf.newaxis]  # [R, o]
    last = tf.cast(length if valid_length is None else valid_length, dtype)
    last = tf.broadcast_to(last, tf.shape(step))[:, tf.newaxis]
    pixels = tf.range(tf.cast(length, dtype), dtype=dtype)

    def add_sample(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        offset = (i + 0.5) * tf.math.divide_no_nan(step, counts)
        at = edges + offset[:, tf.newaxis]  # [R, o]
        counted = (at >= -1.0) & (at <= last) & (i < counts)[:, tf.newaxis]
        at = tf.clip_by_value(at, 0.0, last - 1.0)
        weights = tf.maximum(1.0 - tf.abs(at[..., tf.newaxis] - pixels), 0.0)  # [R, o, length]
        return i + 1.0, total + tf.where(counted[..., tf.newaxis], weights, 0.0)

    # As many rounds as the largest bin has samples, so that regions of any size are exact at a bounded memory.
    most = tf.reduce_max(tf.concat([counts, [tf.zeros([], dtype)]], axis=0))
    nothing = tf.zeros(tf.concat([tf.shape(edges), [tf.size(pixels)]], axis=0), dtype)
    shapes = tf.TensorShape([]), tf.TensorShape([start.shape[0], bins, None])
    _, total = tf.while_loop(lambda i, _: i < most, add_sample, (tf.zeros([], dtype), nothing), shapes)
    return tf.math.divide_no_nan(total, counts[:, tf.newaxis, tf.newaxis])


@tf.custom_gradient
def _pool(features: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, object]:
    """Computes `rows . features . columns^T` for each region, some regions at a time.

    Its gradient is the same product with the factors transposed, and needs nothing that the forward pass computed.

    Args:
        features: `[H, W, C]`.
        rows: `[R, o, H]`.
        columns: `[R, o, W]`.

    Returns:
        `[R, o, o, C]`, and the function that computes the gradient.
    """
    count, size = tf.shape(rows)[0], rows.shape[1]
    missing = (_CHUNK - count % _CHUNK) % _CHUNK  # of a negative number, tf2onnx would take the remainder that C takes
    rows, columns = (tf.pad(weights, [[0, missing], [0, 0], [0, 0]]) for weights in (rows, columns))
    chunks = (count + missing) // _CHUNK

    def chunk(x: tf.Tensor, i: tf.Tensor) -> tf.Tensor:
        size = tf.concat([[_CHUNK], tf.shape(x)[1:]], axis=0)  # XLA needs slices of a constant length
        part = tf.slice(x, [i * _CHUNK, *[0] * (len(x.shape) - 1)], size)
        return tf.ensure_shape(part, [_CHUNK, *x.shape[1:]])

    def forward(i: tf.Tensor) -> tf.Tensor:
        of_rows = tf.einsum("roh,hwc->rowc", chunk(rows, i), features)
        return tf.einsum("rpw,rowc->ropc", chunk(columns, i), of_rows)

    pooled = tf.map_fn(forward, tf.range(chunks), fn_output_signature=features.dtype)
    pooled = tf.reshape(pooled, [-1, size, size, features.shape[-1]])[:count]

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        upstream = tf.pad(upstream, [[0, missing], [0, 0], [0, 0], [0, 0]])

        def add_chunk(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_columns = tf.einsum("rpw,ropc->rowc", chunk(columns, i), chunk(upstream, i))
            return i + 1, total + tf.einsum("roh,rowc->hwc", chunk(rows, i), of_columns)

        start = tf.constant(0), tf.zeros_like(features)
        return tf.while_loop(lambda i, _: i < chunks, add_chunk, start)[1], None, None

    return tf.ensure_shape(pooled, [None, size, size, features.shape[-1]]), gradient
