"""Defines the ResNet v1.5 backbones, with torchvision's arithmetic.

Padding is symmetric, the stride is in the 3x3 convolution of a block, and the last batch-norm scale of a block starts
at zero.
"""

import math
from typing import Any, Literal, NoReturn, get_args

import keras
import tensorflow as tf

from simsiam_tf.errors import check, check_choice, names_its_options
from simsiam_tf.networks.normalization import BatchNormalization
from simsiam_tf.networks.tracked import TracksItsVariables

BlockKind = Literal["basic", "bottleneck"]

# The kind of block and the number of blocks in each stage.
DEPTHS: dict[str, tuple[BlockKind, tuple[int, ...]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}

# With fewer input channels, the gradient of a 1x1 convolution with a stride writes beyond its memory in oneDNN
# (docs/upstream.md). There a shortcut leaves out the pixels itself and convolves with stride 1, the same function.
_FEWEST_FOR_STRIDES = 16


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class ResidualBlock(TracksItsVariables, keras.layers.Layer):
    """Adds the result of two or three convolutions to the input: 3x3, 3x3 (basic), or 1x1, 3x3, 1x1 (bottleneck).

    If the shapes differ, the input first goes through a 1x1 convolution and a batch norm.

    Args:
        kind: `basic` or `bottleneck`.
        width: the number of channels of the 3x3 convolutions. A bottleneck outputs four times as many.
        strides: the stride of the first 3x3 convolution.
        **kwargs: further arguments of `keras.layers.Layer`.

    Attributes:
        output_dim: the number of output channels.
    """

    def __init__(self, kind: BlockKind, width: int, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("kind", kind, get_args(BlockKind))
        self.kind, self.width, self.strides = kind, width, strides
        if kind == "basic":
            shapes = [(width, 3, strides), (width, 3, 1)]
        else:
            shapes = [(width, 1, 1), (width, 3, strides), (4 * width, 1, 1)]
        self.output_dim = shapes[-1][0]
        self.convs = [_conv(*shape, name=f"conv{i + 1}") for i, shape in enumerate(shapes)]
        self.norms = [
            BatchNormalization(zero_gamma=i + 1 == len(shapes), name=f"bn{i + 1}") for i in range(len(shapes))
        ]
        self.pixel_step = 1  # more than 1 if the shortcut leaves out pixels before its convolution
        self.shortcut_conv: keras.layers.Conv2D | None = None
        self.shortcut_norm: BatchNormalization | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes all variables, given the shape of the input, `[B, H, W, C]`."""
        channels = input_shape[-1]
        if self.strides != 1 or channels != self.output_dim:
            if channels is not None and channels < _FEWEST_FOR_STRIDES:
                self.pixel_step = self.strides
            self.shortcut_conv = _conv(self.output_dim, 1, self.strides // self.pixel_step, name="shortcut_conv")
            self.shortcut_norm = BatchNormalization(name="shortcut_bn")
            self.shortcut_conv.build((None, None, None, channels))
            self.shortcut_norm.build((None, None, None, self.output_dim))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build((None, None, None, channels))
            channels = conv.filters
            norm.build((None, None, None, channels))

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps `[B, H, W, C]` to `[B, H / strides, W / strides, output_dim]`."""
        shortcut = x
        if self.shortcut_conv is not None and self.shortcut_norm is not None:
            pixels = x[:, :: self.pixel_step, :: self.pixel_step, :] if self.pixel_step > 1 else x
            shortcut = self.shortcut_norm(self.shortcut_conv(pixels), training=training)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(_pad(x, conv)), training=training)
            if i + 1 < len(self.convs):
                x = tf.nn.relu(x)
        return tf.nn.relu(x + shortcut)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {**super().get_config(), "kind": self.kind, "width": self.width, "strides": self.strides}


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class ResNet(TracksItsVariables, keras.Model):
    """Computes the features of images by ResNet v1.5, up to the global average pooling.

    The constructor builds it, for images of any size.

    Args:
        arch: `resnet18`, `resnet34`, `resnet50`, `resnet101` or `resnet152`.
        cifar_stem: whether the network begins with a 3x3 convolution of stride 1 and without max-pool, for 32x32 images
            (paper App. D). Otherwise it begins with a 7x7 convolution of stride 2 and a max-pool.
        width: the multiplier of the number of channels of every layer.
        **kwargs: further arguments of `keras.Model`.

    Attributes:
        feature_dim: D, the number of features of an image.
        blocks: the residual blocks, in order.

    Raises:
        ValueError: if there is no such `arch`, or the width is not positive.

    Example:
        >>> import numpy as np
        >>> backbone = ResNet("resnet18", cifar_stem=True, width=0.125)
        >>> backbone(np.zeros([2, 32, 32, 3], "float32")).shape
        TensorShape([2, 64])
    """

    def __init__(self, arch: str = "resnet50", cifar_stem: bool = False, width: float = 1.0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "backbone")
        super().__init__(**kwargs)
        check_choice("arch", arch, DEPTHS)
        check(0 < width < math.inf, "width must be a positive number.", repr(width))
        self.arch, self.cifar_stem, self.width = arch, cifar_stem, width
        kind, depths = DEPTHS[arch]
        base = max(1, round(64 * width))
        kernel_size, strides = (3, 1) if cifar_stem else (7, 2)
        self.stem_conv = _conv(base, kernel_size, strides, name="stem_conv")
        self.stem_norm = BatchNormalization(name="stem_bn")
        self.blocks: list[ResidualBlock] = []
        for stage, depth in enumerate(depths):
            for i in range(depth):
                block_strides = 2 if stage > 0 and i == 0 else 1
                name = f"stage{stage + 1}_block{i + 1}"
                self.blocks.append(ResidualBlock(kind, base * 2**stage, block_strides, name=name))
        self.feature_dim = self.blocks[-1].output_dim
        self.build((None, None, None, 3))

    @property
    def stages(self) -> list[list[ResidualBlock]]:
        """Returns the residual blocks of each of the four stages."""
        blocks = iter(self.blocks)
        return [[next(blocks) for _ in range(depth)] for depth in DEPTHS[self.arch][1]]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes all variables, given the shape of the images, `[B, H, W, 3]`."""
        if self.stem_conv.built:  # Keras calls build again when it loads a .keras file
            return
        self.stem_conv.build(input_shape)
        channels = self.stem_conv.filters
        self.stem_norm.build((None, None, None, channels))
        for block in self.blocks:
            block.build((None, None, None, channels))
            block.built = True
            channels = block.output_dim
        self.built = True

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps normalised images `[B, H, W, 3]` to features `[B, D]`."""
        return tf.reduce_mean(self.feature_maps(images, training)["C5"], axis=[1, 2])

    def feature_maps(self, images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Computes the maps that each of the four stages ends with, for detection and segmentation.

        Args:
            images: normalised images, `[B, H, W, 3]`.
            training: whether batch norm uses the statistics of the batch.

        Returns:
            The maps `C2`, `C3`, `C4` and `C5`, `[B, H / s, W / s, C]`, where s is 4, 8, 16 and 32, and with the CIFAR
            stem 1, 2, 4 and 8. The features of an image are the mean of `C5` over all places.

        Example:
            >>> maps = resnet18(width=0.125).feature_maps(tf.zeros([1, 64, 96, 3]))
            >>> {name: tuple(x.shape[1:]) for name, x in maps.items()}
            {'C2': (16, 24, 8), 'C3': (8, 12, 16), 'C4': (4, 6, 32), 'C5': (2, 3, 64)}
        """
        x = self.stem_conv(_pad(images, self.stem_conv))
        x = tf.nn.relu(self.stem_norm(x, training=training))
        if not self.cifar_stem:
            # After a ReLU, padding with 0 gives the same maximum as PyTorch's padding with minus infinity.
            x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        maps = {}
        for number, blocks in enumerate(self.stages, start=2):
            for block in blocks:
                x = block(x, training=training)
            maps[f"C{number}"] = x
        return maps

    @property
    def inputs(self) -> NoReturn:
        """Raises an AttributeError that names the way to maps of a layer within; only functional models have inputs."""
        raise AttributeError(
            "A ResNet is no functional model with inputs and outputs; its maps of each stage are "
            "backbone.feature_maps(images)['C5'], and so on. Received: a request for its inputs."
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """Returns the shape of the features, `[B, D]`."""
        return (input_shape[0], self.feature_dim)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {**super().get_config(), "arch": self.arch, "cifar_stem": self.cifar_stem, "width": self.width}


def resnet18(**kwargs: Any) -> ResNet:
    """Makes a ResNet-18, with D = 512 x width features. The keyword arguments are those of `ResNet`.

    Example:
        >>> resnet18(width=0.125).feature_dim
        64
    """
    return ResNet("resnet18", **kwargs)


def resnet34(**kwargs: Any) -> ResNet:
    """Makes a ResNet-34, with D = 512 x width features. The keyword arguments are those of `ResNet`.

    Example:
        >>> resnet34(width=0.125).feature_dim
        64
    """
    return ResNet("resnet34", **kwargs)


def resnet50(**kwargs: Any) -> ResNet:
    """Makes a ResNet-50, with D = 2048 x width features. The keyword arguments are those of `ResNet`.

    Example:
        >>> resnet50(width=0.125).feature_dim
        256
    """
    return ResNet("resnet50", **kwargs)


def resnet101(**kwargs: Any) -> ResNet:
    """Makes a ResNet-101, with D = 2048 x width features. The keyword arguments are those of `ResNet`.

    Example:
        >>> resnet101(width=0.125).feature_dim
        256
    """
    return ResNet("resnet101", **kwargs)


def resnet152(**kwargs: Any) -> ResNet:
    """Makes a ResNet-152, with D = 2048 x width features. The keyword arguments are those of `ResNet`.

    Example:
        >>> resnet152(width=0.125).feature_dim
        256
    """
    return ResNet("resnet152", **kwargs)


def _conv(filters: int, kernel_size: int, strides: int, name: str) -> keras.layers.Conv2D:
    """Makes a convolution without bias, with torchvision's initial weights: normal, std sqrt(2 / (k k out))."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        # With stride 2, 'same' pads more on one side. PyTorch pads k // 2 on both sides, and `_pad` does the same.
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=name,
    )


def _pad(x: tf.Tensor, conv: keras.layers.Conv2D) -> tf.Tensor:
    """Pads k // 2 zeros on both sides, unless the convolution itself pads."""
    p = conv.kernel_size[0] // 2 if conv.padding == "valid" else 0
    return keras.ops.pad(x, [[0, 0], [p, p], [p, p], [0, 0]]) if p else x
