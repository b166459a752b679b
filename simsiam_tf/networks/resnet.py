"""Defines the ResNet v1.5 backbones, with torchvision's arithmetic.

Padding is symmetric, the stride is in the 3x3 convolution of a block, and the last batch-norm scale of a block starts
at zero.
"""

import math
from typing import Any, NoReturn

import keras
import tensorflow as tf

from simsiam_tf.errors import check, check_choice, names_its_options
from simsiam_tf.networks.normalization import BatchNormalization
from simsiam_tf.networks.residual_block import BlockKind, ResidualBlock, make_conv, pad_for
from simsiam_tf.networks.tracked import TracksItsVariables

# The kind of block and the number of blocks in each stage.
DEPTHS: dict[str, tuple[BlockKind, tuple[int, ...]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}


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
        self.stem_conv = make_conv(base, kernel_size, strides, name="stem_conv")
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
        x, maps = self.stem(images, training), {}
        for number in range(4):
            x = maps[f"C{number + 2}"] = self.stage(number, x, training)
        return maps

    def stem(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes what the first stage gets: convolution, batch norm, ReLU and, for large images, max-pool.

        Args:
            images: normalised images, `[B, H, W, 3]`.
            training: whether batch norm uses the statistics of the batch.

        Returns:
            `[B, H / 4, W / 4, C]`, and with the CIFAR stem `[B, H, W, C]`.

        Example:
            >>> resnet18(width=0.125).stem(tf.zeros([1, 64, 96, 3])).shape
            TensorShape([1, 16, 24, 8])
        """
        x = self.stem_conv(pad_for(images, self.stem_conv))
        x = tf.nn.relu(self.stem_norm(x, training=training))
        if self.cifar_stem:
            return x
        # After a ReLU, padding with 0 gives the same maximum as PyTorch's padding with minus infinity.
        return tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")

    def stage(self, number: int, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Applies the residual blocks of one stage.

        Args:
            number: the number of the stage, from 0 to 3; the last one is called res5 in detection.
            x: the output of the stage before, or of `stem`, `[B, H, W, C]`.
            training: whether batch norm uses the statistics of the batch.

        Returns:
            `[B, H, W, C']` for stage 0, and `[B, H / 2, W / 2, C']` for the others.

        Example:
            >>> resnet18(width=0.125).stage(3, tf.zeros([5, 14, 14, 32])).shape
            TensorShape([5, 7, 7, 64])
        """
        for block in self.stages[number]:
            x = block(x, training=training)
        return x

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
