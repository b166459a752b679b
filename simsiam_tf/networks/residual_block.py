"""Defines the residual block of the ResNets, and their convolution, with torchvision's arithmetic."""

from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from simsiam_tf.errors import check_choice, names_its_options
from simsiam_tf.networks.normalization import BatchNormalization
from simsiam_tf.networks.tracked import TracksItsVariables

BlockKind = Literal["basic", "bottleneck"]

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
        self.convs = [make_conv(*shape, name=f"conv{i + 1}") for i, shape in enumerate(shapes)]
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
            self.shortcut_conv = make_conv(self.output_dim, 1, self.strides // self.pixel_step, name="shortcut_conv")
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
            # A pool of one pixel takes every such pixel, as a slice with steps would, in a fifth of the time on a CPU.
            pixels = tf.nn.avg_pool2d(x, 1, self.pixel_step, "VALID") if self.pixel_step > 1 else x
            shortcut = self.shortcut_norm(self.shortcut_conv(pixels), training=training)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(pad_for(x, conv)), training=training)
            if i + 1 < len(self.convs):
                x = tf.nn.relu(x)
        return tf.nn.relu(x + shortcut)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {**super().get_config(), "kind": self.kind, "width": self.width, "strides": self.strides}


def make_conv(filters: int, kernel_size: int, strides: int, name: str) -> keras.layers.Conv2D:
    """Makes a convolution without bias, with torchvision's initial weights: normal, std sqrt(2 / (k k out))."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        # With stride 2, 'same' pads more on one side. PyTorch pads k // 2 on both sides, and `pad_for` does the same.
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=name,
    )


def pad_for(x: tf.Tensor, conv: keras.layers.Conv2D) -> tf.Tensor:
    """Pads k // 2 zeros on both sides, unless the convolution itself pads."""
    p = conv.kernel_size[0] // 2 if conv.padding == "valid" else 0
    return keras.ops.pad(x, [[0, 0], [p, p], [p, p], [0, 0]]) if p else x
