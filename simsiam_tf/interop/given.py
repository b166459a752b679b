"""Holds the weights that a network begins with, and reads them from files of Keras, PyTorch and others."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import IO, Any

import keras
import ml_dtypes
import numpy as np
import safetensors

from simsiam_tf.errors import UsageError
from simsiam_tf.files import local_copy, opened_regular, printable, read_regular
from simsiam_tf.interop.harmless_pickle import NoWeightsError
from simsiam_tf.interop.keras_reading import is_keras, read_keras
from simsiam_tf.interop.layouts import describe_backbone, sort_weights
from simsiam_tf.interop.pth_reading import read_pth
from simsiam_tf.interop.torch_names import (
    NamedWeight,
    WeightsError,
    assign,
    matched,
    mlp_weights,
    named_weights,
)
from simsiam_tf.methods import SSLModel
from simsiam_tf.networks.heads import MLP
from simsiam_tf.networks.resnet import ResNet

_HEADS = ("projector", "predictor")
_PIXELS = (
    " Images are given to it minus ImageNet's mean, divided by its standard deviation; weights that were trained on "
    "other values need time to adapt."
)
# What some methods hold besides, which is not taken.
_OTHERS = ("prototypes", "queue", "online_probe")
RULE = "--init_weights must be a run's folder, or a file .keras, .safetensors, .pth or .pth.tar"


@dataclasses.dataclass(frozen=True)
class Given:
    """Holds weights that were given.

    Attributes:
        origin: the place where they were found, and the layout, in words.
        method: the method that they were trained by; empty if that is not known.
        backbone: the weights of the backbone by the names of `named_weights`.
        heads: those of `projector` and `predictor`, as far as there are any, by the names of `mlp_weights`.
        left_out: the names of what the place holds besides.

    Example:
        given = read_weights(pathlib.Path("checkpoint_0099.pth.tar"))
        print(given.assign_to(model))
    """

    origin: str
    method: str
    backbone: dict[str, np.ndarray]
    heads: dict[str, dict[str, np.ndarray]]
    left_out: tuple[str, ...] = ()

    def assign_to(self, model: SSLModel) -> str:
        """Assigns the weights to a method: to its backbone, and to its heads if all of them fit.

        A momentum encoder becomes a copy of the encoder again. If the weights of the backbone do not fit, nothing is
        assigned.

        Args:
            model: the method.

        Returns:
            A sentence that says what was taken, and from what.

        Raises:
            UsageError: if the weights are not those of the model's backbone, or are not finite.
        """
        pairs = self._backbone_for(model.backbone)
        taken, why_not = ["backbone"], ""
        try:
            pairs += self._heads_for(model)
            taken += list(heads_of(model))
        except WeightsError as error:
            why_not = f"; the heads begin anew, because {error}"
        assign(pairs)
        model.after_given_weights()
        others = [name for name in _OTHERS if getattr(model, name, None) is not None]
        return self._sentence(taken, why_not + (f"; {_listed(others, 'the ')} {_begin(others)} anew" if others else ""))

    def assign_to_backbone(self, backbone: keras.Model) -> str:
        """Assigns the weights of the backbone alone; otherwise as `assign_to`."""
        assign(self._backbone_for(backbone))
        return self._sentence(["backbone"])

    def _sentence(self, taken: list[str], why_not: str = "") -> str:
        names = [printable(name[:80]) for name in self.left_out[:5]]
        rest = f" Left out: {', '.join(names)}{', ...' if len(self.left_out) > 5 else ''}." if names else ""
        rest += "" if "conv1.weight" in self.backbone else _PIXELS
        what = _listed(taken) if len(taken) > 1 else f"the {taken[0]} alone"
        return f"Took {what} from {self.origin}{why_not}.{rest}"

    def _backbone_for(self, backbone: keras.Model) -> list[tuple[keras.Variable, np.ndarray]]:
        try:
            return matched(list(named_weights(backbone)), self.backbone)
        except WeightsError as error:
            raise UsageError(
                f"--init_weights must hold the weights of the backbone, {_network(backbone)}; {error}. "
                f"Received: {self.origin}{self._holding()}."
            ) from error

    def _heads_for(self, model: SSLModel) -> list[tuple[keras.Variable, np.ndarray]]:
        """Finds the values of a method's heads.

        Raises:
            WeightsError: if one does not fit.
        """
        heads = heads_of(model)
        if heads and self.method not in ("", type(model).__name__.lower()):
            raise WeightsError(f"those there are of the method {self.method}")
        pairs = []
        for name, head in heads.items():
            if name not in self.heads:
                raise WeightsError(f"there is no {name}")
            weights = list(mlp_weights(head))
            try:
                pairs += matched(weights, _with_our_biases(self.heads[name], weights))
            except WeightsError as error:
                raise WeightsError(f"the {name} differs: {error}") from error
        return pairs

    def _holding(self) -> str:
        """Returns what network the weights are of, as the end of a sentence."""
        found = describe_backbone(self.backbone)
        return f", with the weights of {_in_words(*found)}" if found else ""


def _with_our_biases(arrays: Mapping[str, np.ndarray], weights: list[NamedWeight]) -> dict[str, np.ndarray]:
    """Gives the dense layers that batch norm follows a bias or none, as our layers have it; the output stays the same.

    A bias before a batch norm does nothing but move the mean that is subtracted.
    """
    ours, fitted = {weight.name: weight.shape for weight in weights}, dict(arrays)
    for mean in [name for name in arrays if name.endswith(".running_mean")]:
        bias = mean.replace("bn", "dense").replace("running_mean", "bias")
        if bias in fitted and bias not in ours and fitted[bias].shape == fitted[mean].shape:
            fitted[mean] = fitted[mean] - fitted.pop(bias)
        elif bias in ours and bias not in fitted:
            fitted[bias] = np.zeros(ours[bias], np.float32)
    return fitted


def heads_of(network: keras.Model) -> dict[str, MLP]:
    """Returns the projector and the predictor of a method, as far as it has them as MLPs."""
    heads = {name: getattr(network, name, None) for name in _HEADS}
    return {name: head for name, head in heads.items() if isinstance(head, MLP)}


def _network(backbone: keras.Model) -> str:
    if isinstance(backbone, ResNet):
        return _in_words(backbone.arch, backbone.width, backbone.cifar_stem)
    return str(backbone.name)


def _in_words(arch: str, width: float, cifar_stem: bool) -> str:
    return f"{arch} of width {width:g} with the {'3x3' if cifar_stem else '7x7'} stem"


def _listed(names: list[str], before: str = "") -> str:
    return before + (f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]).replace("_", " ")


def _begin(names: list[str]) -> str:
    return "begin" if len(names) > 1 or names[0].endswith("s") else "begins"


def of_network(network: keras.Model, origin: str) -> Given:
    """Takes the weights of a network of Keras.

    Args:
        network: a method, or a backbone alone.
        origin: the place where the network was found, in words.
    """
    backbone = network.backbone if isinstance(network, SSLModel) else network
    return Given(
        origin,
        type(network).__name__.lower() if isinstance(network, SSLModel) else "",
        {weight.name: weight.array for weight in named_weights(backbone)},
        {name: {weight.name: weight.array for weight in mlp_weights(head)} for name, head in heads_of(network).items()},
    )


def read_weights(path: pathlib.Path) -> Given:
    """Reads weights from a file, whose kind is told by its content.

    PyTorch is not needed, and nothing that the file holds is run.

    Args:
        path: the file: what Keras saved, safetensors, or what `torch.save` wrote. The names may be those of
            torchvision, timm, the authors' SimSiam, MoCo, solo-learn, lightly or mmselfsup.

    Raises:
        UsageError: if the file is damaged, or is of no kind or layout that is known.
    """
    try:
        with local_copy(path) as file, opened_regular(file) as (content, _):
            if is_keras(content):
                return of_network(read_keras(file, content), f"{path}, a file of Keras")
            arrays = _read_safetensors(file) if _is_safetensors(content) else read_pth(content)
        found = sort_weights(arrays)
    except (NoWeightsError, WeightsError) as error:
        raise UsageError(f"{RULE}; {error}. Received: {path}.") from error
    return Given(f"{path}, in the layout of {found.layout}", found.method, found.backbone, found.heads, found.left_out)


def _is_safetensors(content: IO[bytes]) -> bool:
    """Returns whether a file begins with the length of a description, and the description."""
    length, begin = int.from_bytes(content.read(8), "little"), content.read(1)
    size = content.seek(0, 2)
    content.seek(0)
    return length <= size and begin == b"{"


_SAFETENSORS = {
    **{"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16},
    **{"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_},
}


def _array(part: dict[str, Any]) -> np.ndarray:
    if part["dtype"] not in _SAFETENSORS:
        raise NoWeightsError(f"it holds numbers of the type {part['dtype']}, which is not known")
    return np.frombuffer(part["data"], _SAFETENSORS[part["dtype"]]).reshape(part["shape"])


def _read_safetensors(file: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        held = safetensors.deserialize(read_regular(file))
        return {name: _array(part) for name, part in held}
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise NoWeightsError(f"it is damaged, or not a file of safetensors ({error})") from error
