"""Finds the features of TFDS data sets by their paths, such as `image/left`, and converts their images."""

from typing import Any

import numpy as np

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.pixels import choose_channels, to_levels
from simsiam_tf.errors import UsageError

# A feature of a TFDS builder. Its real type would need the slow import of TFDS.
Feature = Any


def paths(features: Feature, prefix: str = "") -> list[str]:
    """Returns the paths of all features, with `/` between the parts, as in `image/left`."""
    found = []
    for name, feature in features.items():
        nested = hasattr(feature, "items")
        found += paths(feature, f"{prefix}{name}/") if nested else [f"{prefix}{name}"]
    return found


def feature_at(features: Feature, path: str) -> Feature:
    """Returns the feature at a path, or `None`."""
    for part in path.split("/"):
        if not hasattr(features, "items") or part not in features:
            return None
        features = features[part]
    return None if hasattr(features, "items") else features


def value_at(example: Any, path: str) -> Any:
    """Returns the value of an example at the path of a feature."""
    for part in path.split("/"):
        example = example[part]
    return example


def is_plain(feature: Feature) -> bool:
    """Returns whether an image is stored as a file that Pillow decodes to the same numbers."""
    return hasattr(feature, "encode_example") and type(feature).__name__ == "Image" and feature.np_dtype == np.uint8


def rgb_of(images: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Converts images `[..., H, W, C]` of any type to RGB, `[..., H, W, 3] uint8`.

    Raises:
        UnknownValuesError: if their type does not say which values are black and white.
    """
    images = choose_channels(images, pixels.channels) if images.shape[-1] != 2 else images[..., :1].repeat(3, -1)
    return to_levels(images, pixels)


def text_of(value: Any) -> str:
    """Returns the name of a class that is known by a value."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def only_image(features: Feature, dataset: str) -> str:
    """Returns the feature that is the image by default: `image`, or the only one that is an image."""
    if feature_at(features, "image") is not None:
        return "image"
    images = [path for path in paths(features) if type(feature_at(features, path)).__name__ == "Image"]
    if len(images) == 1:
        return images[0]
    raise UsageError(
        f"The data set {dataset} has no feature 'image'; name one by --image_feature. "
        f"Received: {', '.join(images or paths(features))}."
    )
