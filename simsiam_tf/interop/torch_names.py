"""Gives a ResNet's weights under torchvision's names, as PyTorch arranges them, and takes them back.

timm's names of these networks are the same.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from simsiam_tf.networks.normalization import BatchNormalization
from simsiam_tf.networks.resnet import ResNet

# From Keras' order of a kernel's axes, height, width, input, output, to PyTorch's.
_KERNEL = (3, 2, 0, 1)
# PyTorch counts the batches that a batch norm has seen. Keras does not, and nothing is computed from the count here.
COUNT = "num_batches_tracked"


class WeightsError(ValueError):
    """Says which weights are missing, left over or of another shape. Nothing was assigned."""


@dataclasses.dataclass(frozen=True)
class NamedWeight:
    """Holds a weight and its name in PyTorch.

    Attributes:
        name: the name, such as `layer1.0.conv1.weight`.
        variable: the variable of Keras.
        axes: the order of the variable's axes in PyTorch.
    """

    name: str
    variable: keras.Variable
    axes: tuple[int, ...]


def named_weights(backbone: ResNet) -> Iterator[NamedWeight]:
    """Yields the weights of a backbone in torchvision's order.

    Args:
        backbone: a ResNet of any depth, width and stem.

    Example:
        >>> from simsiam_tf import resnet18
        >>> [weight.name for weight in named_weights(resnet18(width=0.125))][:3]
        ['conv1.weight', 'bn1.weight', 'bn1.bias']
    """
    yield NamedWeight("conv1.weight", backbone.stem_conv.kernel, _KERNEL)
    yield from _of_norm("bn1", backbone.stem_norm)
    for stage, blocks in enumerate(backbone.stages, start=1):
        for number, block in enumerate(blocks):
            at = f"layer{stage}.{number}"
            for i, (conv, norm) in enumerate(zip(block.convs, block.norms, strict=True), start=1):
                yield NamedWeight(f"{at}.conv{i}.weight", conv.kernel, _KERNEL)
                yield from _of_norm(f"{at}.bn{i}", norm)
            if block.shortcut_conv is not None and block.shortcut_norm is not None:
                yield NamedWeight(f"{at}.downsample.0.weight", block.shortcut_conv.kernel, _KERNEL)
                yield from _of_norm(f"{at}.downsample.1", block.shortcut_norm)


def _of_norm(name: str, norm: BatchNormalization) -> Iterator[NamedWeight]:
    parts = (("weight", norm.gamma), ("bias", norm.beta))
    for part, variable in (*parts, ("running_mean", norm.moving_mean), ("running_var", norm.moving_variance)):
        yield NamedWeight(f"{name}.{part}", variable, (0,))


def to_torch(backbone: ResNet) -> dict[str, np.ndarray]:
    """Returns the weights of a backbone in float32 by torchvision's names, with the counts of batches as 0.

    Args:
        backbone: a ResNet.

    Returns:
        The arrays that `torchvision.models.resnet50().load_state_dict` takes, but for those of the classifier, `fc`.
    """
    arrays = {}
    for weight in named_weights(backbone):
        value = np.asarray(weight.variable.numpy(), np.float32)
        arrays[weight.name] = np.ascontiguousarray(value.transpose(weight.axes))
        if weight.name.endswith(".running_var"):
            arrays[weight.name.replace("running_var", COUNT)] = np.zeros((), np.int64)
    return arrays


def from_torch(backbone: ResNet, arrays: Mapping[str, np.ndarray]) -> None:
    """Assigns weights to a backbone, all of them or none.

    Args:
        backbone: a ResNet.
        arrays: the weights by torchvision's names; counts of batches are left out.

    Raises:
        WeightsError: if one is missing, left over, of another shape, or not finite.
    """
    weights = list(named_weights(backbone))
    given = {name for name in arrays if not name.endswith(COUNT)}
    wanted = {weight.name for weight in weights}
    values = []
    if wanted != given:
        raise WeightsError(
            f"the weights must be those of {backbone.arch}: {_some(wanted - given)} missing, "
            f"{_some(given - wanted)} unknown"
        )
    for weight in weights:
        value = np.asarray(arrays[weight.name])
        shape = tuple(weight.variable.shape[axis] for axis in weight.axes)
        if value.shape != shape:
            raise WeightsError(f"{weight.name} must have the shape {shape} and has {value.shape}")
        value = value.astype(weight.variable.dtype)
        if not np.isfinite(value).all():
            raise WeightsError(f"{weight.name} holds numbers that are not finite")
        values.append(value.transpose(np.argsort(weight.axes)))
    for weight, value in zip(weights, values, strict=True):
        weight.variable.assign(value)


def _some(names: set[str]) -> str:
    """Returns how many names there are, and the first ones."""
    shown = ", ".join(sorted(names)[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})" if names else "none"
