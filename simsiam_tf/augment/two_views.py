"""Makes two random views of images, as a function for `Dataset.map` and as a Keras layer."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Self

import keras
import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import POLICIES, Policy
from simsiam_tf.augment.threefry import view_keys
from simsiam_tf.distribute.xla import compiled_on_host, host_compiles
from simsiam_tf.errors import check, check_choice, names_its_options

# The largest images, in pixels, that XLA crops.
_SMALL_PIXELS = 64 * 64


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class TwoViews(keras.layers.Layer):
    """Makes two random views of each image: the augmentation of train.py (paper Sec. 3).

    Each call makes new views, even of the same image, because the random numbers depend on a count of the images seen
    so far. A second pass over a data set therefore gets different views.

    If `index` and `epoch` are given, the views depend on them, the image and the seed alone, as in train.py.

    Small images are fastest in batches: `dataset.batch(128).map(two_views, tf.data.AUTOTUNE)`. A number of images in a
    batch that did not occur before is compiled first, which takes seconds.

    Args:
        policy: the augmentation of the views: a name (`simsiam`, `simsiam_cifar`, `simclr`, `byol`, `swav`,
            `linear_train`, `linear_eval` or `none`), a `Policy` for both views, or a pair with one for each.
        size: the side of the views in pixels.
        seed: the seed of all random numbers.
        value_range: the smallest and the largest level of float images, such as `(0, 1)`; required for float images,
            not used for uint8.
        **kwargs: further arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if an option is unknown or out of its range, if the layer is made under a distribution strategy, if
            the images are not `[H, W, 3]` or `[B, H, W, 3]` of uint8 or of floats with a `value_range`, or if more than
            images is given, such as labels.

    Example:
        >>> import numpy as np
        >>> two_views = TwoViews("simsiam_cifar", size=32, seed=0)
        >>> x1, x2 = two_views(np.zeros([48, 64, 3], "uint8"))
        >>> x1.shape, x2.dtype
        (TensorShape([32, 32, 3]), tf.float32)
    """

    def __init__(
        self,
        policy: str | Policy | tuple[Policy, Policy] = "simsiam",
        size: int = 32,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        check(size >= 1, "size must be at least 1.", size)
        check(0 <= seed < 2**32, "seed must be from 0 to 2^32 - 1.", seed)
        if value_range is not None:
            rule = "value_range must be a pair of numbers, the smaller first."
            check(len(value_range) == 2 and value_range[0] < value_range[1], rule, value_range)
        rule = "TwoViews counts images on the host; make it outside of the strategy's scope."
        check(not tf.distribute.has_strategy(), rule, type(tf.distribute.get_strategy()).__name__)
        self.policy, self.size, self.seed, self.value_range = policy, size, seed, value_range
        self.policies = _pair(policy)
        with tf.device("/cpu:0"):
            self.num_seen = tf.Variable(0, trainable=False, dtype=tf.int64, name="num_seen")

    def __call__(self, images: Any, *others: Any, **kwargs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Checks the images, and calls the layer; see `call`. The index and the epoch are given by their names."""
        # A data set of (image, label) that is mapped by this layer would give the label as the index.
        rule = "TwoViews takes images alone, as in dataset.map(lambda image, label: two_views(image))."
        check(not others, rule, f"{1 + len(others)} values")
        rule = "index and epoch go together; without epoch, each pass over a data set would have the same views."
        given = [name for name in ("index", "epoch") if kwargs.get(name) is not None]
        check(len(given) != 1, rule, f"{given and given[0]} alone")
        images = tf.convert_to_tensor(images)
        self._check(images)  # here, since Keras buries an error inside `call` under its own lines
        return super().__call__(images, **kwargs)

    def _check(self, images: tf.Tensor) -> None:
        """Raises a UsageError unless views can be made of the images."""
        kind = f"{images.dtype.name} {list(images.shape)}"
        rule = "Images must be of shape [H, W, 3] or [B, H, W, 3]."
        check(images.shape.rank in (3, 4) and images.shape[-1] == 3, rule, kind)
        possible = images.dtype == tf.uint8 or images.dtype.is_floating
        check(possible, "Images must be uint8, or floats with value_range=(low, high).", kind)
        rule = "Float images need value_range=(low, high), as (0, 1) or (0, 255)."
        check(images.dtype == tf.uint8 or self.value_range is not None, rule, kind)

    def call(
        self, images: tf.Tensor, index: tf.Tensor | None = None, epoch: tf.Tensor | int | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes the views of one image or of a batch.

        Args:
            images: `[H, W, 3]` or `[B, H, W, 3]`, of any size, with levels from 0 to 255 (uint8) or in `value_range`.
            index: the position of each image in the data set, a scalar or `[B]`; by default images are counted.
            epoch: the number of the pass over the data set, a scalar; it goes with `index`.

        Returns:
            x1 and x2, `[size, size, 3]` or `[B, size, size, 3]` float32, normalised as the networks expect.
        """
        images = self._levels(images)
        single = images.shape.rank == 3
        images = images[tf.newaxis] if single else images
        count = tf.shape(images)[0]
        if index is None:
            seen = self.num_seen.assign_add(tf.cast(count, tf.int64))
            index, epoch = seen - tf.cast(count, tf.int64) + tf.range(tf.cast(count, tf.int64)), 0
        index = tf.reshape(tf.cast(index, tf.int64), [-1])
        # The words of a key have 32 bits: beyond that a counted image gets its upper bits as the epoch.
        epoch = tf.cast(epoch, tf.int64) + tf.cast(index[0] // 2**32, tf.int64)
        x1, x2 = _maker(self.policies, self.size, self.seed, _are_small(images))(images, index, epoch)
        return (x1[0], x2[0]) if single else (x1, x2)

    def _levels(self, images: tf.Tensor) -> tf.Tensor:
        """Converts floats to levels from 0 to 255; uint8 levels stay as they are."""
        if images.dtype == tf.uint8 or self.value_range is None:
            return images
        low, high = self.value_range
        images = tf.cast(images, tf.float32)
        message = f"TwoViews was given levels outside of value_range=({low}, {high})."
        inside = tf.debugging.Assert(tf.reduce_all((images >= low) & (images <= high)), [message])
        with tf.control_dependencies([inside] if inside is not None else []):
            return (images - low) * (255.0 / (high - low))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        """Returns the shapes of x1 and x2."""
        return tuple((*input_shape[:-3], policy.side(self.size), policy.side(self.size), 3) for policy in self.policies)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        policy = self.policy if isinstance(self.policy, str) else [dataclasses.asdict(p) for p in self.policies]
        own = {"policy": policy, "size": self.size, "seed": self.seed, "value_range": self.value_range}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes a layer from what `get_config` returned."""
        policy = config["policy"]
        policies = policy if isinstance(policy, str) else tuple(Policy(**values) for values in policy)
        return cls(**{**config, "policy": policies})


def _pair(policy: str | Policy | tuple[Policy, Policy]) -> tuple[Policy, Policy]:
    """Returns the policies of both views."""
    if isinstance(policy, str):
        check_choice("policy", policy, POLICIES)
        return POLICIES[policy]
    first, second = (policy, policy) if isinstance(policy, Policy) or len(policy) != 2 else policy
    rule = "policy must be the name of a policy, a Policy, or a pair of them."
    check(isinstance(first, Policy) and isinstance(second, Policy), rule, repr(policy))
    return first, second


def _are_small(images: tf.Tensor) -> bool:
    """Returns whether images are cropped fastest by XLA, as the matrix products of `ops.apply_crop`.

    XLA compiles a function anew for each shape that it meets, so H and W must be known. For large images the kernel of
    TensorFlow is faster (docs/results/input.md).
    """
    return images.shape[1:].is_fully_defined() and images.shape[1] * images.shape[2] <= _SMALL_PIXELS


@functools.cache  # compiled once for all layers with the same views
def _maker(policies: tuple[Policy, Policy], size: int, seed: int, crops_inside: bool) -> Callable[..., Any]:
    """Makes the function from images `[B, H, W, 3]`, index `[B]` and epoch to the views.

    Args:
        policies: the policy of each view.
        size: the side of the views in pixels.
        seed: the seed of all random numbers.
        crops_inside: whether images are cropped by the function that XLA compiles, and not before it.
    """
    make = augment_views.make_views_one_by_one if host_compiles() else augment_views.make_views
    make = compiled_on_host(functools.partial(make, policies, size))
    sample = compiled_on_host(functools.partial(augment_views.sample_views, policies, seed))

    @compiled_on_host
    def draw(epoch: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(augment_views.crop_draws(p, view_keys(seed, epoch, index, i)) for i, p in enumerate(policies))

    def views(images: tf.Tensor, index: tf.Tensor, epoch: tf.Tensor) -> list[tf.Tensor]:
        height, width = (tf.shape(images)[i] for i in (1, 2))
        parameters, crops = sample(epoch, index), []
        for policy, draws, values in zip(policies, draw(epoch, index), parameters, strict=True):
            box = augment_views.boxes(policy, draws, height, width, size)
            if crops_inside:
                values["box"] = tf.ensure_shape(box, [images.shape[0], 4])
            else:
                crops.append(ops.apply_crop_by_kernel(images, box, policy.side(size), policy.crops_at_random))
        made = make({"images": tuple(crops) or (images,), "parameters": parameters})["views"]
        sides = (policy.side(size) for policy in policies)
        return [tf.ensure_shape(x, [images.shape[0], n, n, 3]) for x, n in zip(made, sides, strict=True)]

    return views
