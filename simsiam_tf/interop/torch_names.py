"""Gives the weights of networks under PyTorch's names, as PyTorch arranges them, and takes them back.

The names of a ResNet are torchvision's and timm's. Those of an MLP are `dense1`, `bn1`, `dense2` and so on, because
each program counts the layers of an MLP in its own way (layouts.py).
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from simsiam_tf.files import printable
from simsiam_tf.networks.heads import MLP
from simsiam_tf.networks.normalization import BatchNormalization
from simsiam_tf.networks.resnet import ResNet

# From Keras' order of a kernel's axes, height, width, input, output, to PyTorch's.
_KERNEL = (3, 2, 0, 1)
# The same for a dense layer, from input, output.
_DENSE = (1, 0)
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

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of the weight in PyTorch."""
        return tuple(self.variable.shape[axis] for axis in self.axes)

    @property
    def array(self) -> np.ndarray:
        """Returns the values, as PyTorch arranges them."""
        return np.ascontiguousarray(self.variable.numpy().transpose(self.axes))


def named_weights(backbone: keras.Model) -> Iterator[NamedWeight]:
    """Yields the weights of a backbone in torchvision's order.

    Args:
        backbone: a ResNet of any depth, width and stem. The weights of any other network are named by their places,
            such as `0.kernel`, and have Keras' axes.

    Example:
        >>> from simsiam_tf import resnet18
        >>> [weight.name for weight in named_weights(resnet18(width=0.125))][:3]
        ['conv1.weight', 'bn1.weight', 'bn1.bias']
    """
    if not isinstance(backbone, ResNet):
        numbers = (v for v in backbone.variables if "float" in v.dtype)  # and not the seeds of dropout
        for place, variable in enumerate(numbers):
            name = re.sub(r"_\d+$", "", variable.name)
            yield NamedWeight(f"{place}.{name}", variable, tuple(range(len(variable.shape))))
        return
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


def mlp_weights(mlp: MLP) -> Iterator[NamedWeight]:
    """Yields the weights of a projector or a predictor.

    Args:
        mlp: an MLP of any depth.

    Example:
        >>> from simsiam_tf.networks.heads import MLP
        >>> [weight.name for weight in mlp_weights(MLP(4, (), 2))]
        ['dense1.weight', 'dense1.bias']
    """
    for number, (dense, norm) in enumerate(zip(mlp.dense, mlp.norm, strict=True), start=1):
        yield NamedWeight(f"dense{number}.weight", dense.kernel, _DENSE)
        if dense.use_bias:
            yield NamedWeight(f"dense{number}.bias", dense.bias, (0,))
        if norm is not None:
            yield from _of_norm(f"bn{number}", norm)


def _of_norm(name: str, norm: BatchNormalization) -> Iterator[NamedWeight]:
    if norm.affine:
        yield NamedWeight(f"{name}.weight", norm.gamma, (0,))
        yield NamedWeight(f"{name}.bias", norm.beta, (0,))
    yield NamedWeight(f"{name}.running_mean", norm.moving_mean, (0,))
    yield NamedWeight(f"{name}.running_var", norm.moving_variance, (0,))


def to_torch(backbone: ResNet) -> dict[str, np.ndarray]:
    """Returns the weights of a backbone in float32 by torchvision's names, with the counts of batches as 0.

    Args:
        backbone: a ResNet.

    Returns:
        The arrays that `torchvision.models.resnet50().load_state_dict` takes, but for those of the classifier, `fc`.
    """
    return as_torch(named_weights(backbone))


def as_torch(weights: Iterable[NamedWeight]) -> dict[str, np.ndarray]:
    """Returns weights in float32 by their names, with the counts of batches as 0."""
    arrays = {}
    for weight in weights:
        arrays[weight.name] = weight.array.astype(np.float32)
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
    assign(matched(list(named_weights(backbone)), arrays))


def matched(weights: list[NamedWeight], arrays: Mapping[str, np.ndarray]) -> list[tuple[keras.Variable, np.ndarray]]:
    """Finds the values of weights, and assigns none.

    Args:
        weights: the weights to find values of.
        arrays: the values by the names of the weights; counts of batches are left out.

    Returns:
        Each variable, and its value as Keras arranges it.

    Raises:
        WeightsError: if a value is missing, left over, of another shape, or not finite. It names all of them, or the
            first ones.
    """
    given = {name for name in arrays if not name.endswith(COUNT)}
    wanted = {weight.name: weight.shape for weight in weights}
    misshapen = [
        f"{name} {shape_of(arrays[name])} and not {_times(shape)}"
        for name, shape in wanted.items()
        if name in given and tuple(arrays[name].shape) != shape
    ]
    lists = {"missing": sorted(wanted.keys() - given), "unknown": sorted(given - wanted.keys())}
    problems = [f"{_some(names)} {what}" for what, names in lists.items() if names]
    problems += [f"{_some(misshapen)} of another shape"] if misshapen else []
    if problems:
        raise WeightsError("; ".join(problems))
    pairs = []
    for weight in weights:
        given_value = np.asarray(arrays[weight.name])
        if given_value.dtype.kind in "iub":
            raise WeightsError(f"{weight.name} holds {given_value.dtype}, as in a quantised network")
        value = given_value.astype(weight.variable.dtype)
        if not np.isfinite(value).all():
            raise WeightsError(f"{weight.name} holds numbers that are not finite")
        pairs.append((weight.variable, value.transpose(np.argsort(weight.axes))))
    return pairs


def assign(pairs: Iterable[tuple[keras.Variable, np.ndarray]]) -> None:
    """Assigns to each variable its value."""
    for variable, value in pairs:
        variable.assign(value)


def shape_of(array: np.ndarray) -> str:
    """Returns the shape of an array in words, as `64x3x7x7`."""
    return _times(array.shape)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _some(names: list[str]) -> str:
    """Returns how many names there are, and the first ones."""
    shown = ", ".join(printable(name[:80]) for name in names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})"
