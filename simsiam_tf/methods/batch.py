"""Converts what a data set gives to a batch of views, or refuses it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from simsiam_tf.errors import check


def as_batch(data: Any, least_views: int = 2) -> dict[str, Any]:
    """Converts any training input to a batch.

    Args:
        data: a pair of views (x1, x2), or a mapping with `views`, a tuple of two views or more. A view is a tensor of
            normalised float images `[B, H, W, 3]`. The first two views are of the same shape.
        least_views: the number of views that the model needs: 2, or 1 for a classifier that is fine-tuned.

    Returns:
        A dictionary with `views`.

    Raises:
        ValueError: if `data` is neither, or holds anything but views, such as labels.

    Example:
        >>> import numpy as np
        >>> sorted(as_batch((np.zeros([8, 32, 32, 3], "float32"),) * 2))
        ['views']
    """
    if isinstance(data, Mapping) and "views" in data:
        batch = dict(data)
    else:
        # Keras makes a tuple of one of a pair of arrays that `fit` is given.
        if isinstance(data, tuple) and len(data) == 1 and isinstance(data[0], tuple | list):
            (data,) = data
        is_sequence = isinstance(data, tuple | list)
        is_pair = is_sequence and len(data) == 2
        length = f" of length {len(data)}" if is_sequence else ""
        rule = "Training data must be a pair of views (x1, x2) or a dictionary with 'views'."
        check(is_pair, rule, f"{type(data).__name__}{length}")
        batch = {"views": tuple(data)}
    _check_views(batch["views"], least_views)
    return batch


def _check_views(views: Any, least_views: int) -> None:
    """Raises a UsageError unless all are float images and the first two are of one shape."""
    try:
        views = [tf.convert_to_tensor(view) for view in views]
    except (TypeError, ValueError):
        views = []
    received = " and ".join(f"{view.dtype.name} {_shape(view)}" for view in views) or "no tensors"
    images = all(v.dtype.is_floating and v.shape.rank == 4 and v.shape[-1] == 3 for v in views)
    enough = len(views) >= least_views and all(v.shape.is_compatible_with(views[0].shape) for v in views[:2])
    check(
        images and enough,
        "Training data must be views of the same images: normalised float tensors [B, H, W, 3], the first two of one "
        "shape; labels go into a dictionary, under 'labels'. simsiam_tf.augment.TwoViews makes views.",
        received,
    )


def _shape(view: tf.Tensor) -> str:
    return str(view.shape).replace("(", "[").replace(",)", "]").replace(")", "]").replace("None", "?")
