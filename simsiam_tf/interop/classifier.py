"""Holds a linear classifier of features, which an export gives class scores by."""

import dataclasses
import pathlib

import keras
import numpy as np

from simsiam_tf.files import load_arrays, make_folder, make_way, replacing


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Holds a trained linear classifier: scores = softmax(features @ kernel + bias).

    Attributes:
        kernel: the weights, `[D, K]`, of D features and K classes.
        bias: the biases, `[K]`.
        names: the names of the classes, by label. A class without a name is called by its number.
        top1: its accuracy on the test images, percent.
        backbone_sha256: the fingerprint of the weights of the backbone that it was trained on.

    Example:
        classifier = load_classifier(pathlib.Path("runs/cifar10/classifiers/linear_cached.npz"))
        name = classifier.names[np.argmax(features @ classifier.kernel + classifier.bias)]
    """

    kernel: np.ndarray
    bias: np.ndarray
    names: tuple[str, ...]
    top1: float
    backbone_sha256: str

    def layer(self) -> keras.layers.Dense:
        """Returns the classifier as a layer in float32, from features `[B, D]` to scores `[B, K]` that sum to 1."""
        layer = keras.layers.Dense(len(self.names), activation="softmax", dtype="float32", name="classifier")
        layer.build((None, len(self.kernel)))
        layer.set_weights([self.kernel, self.bias])
        return layer


def save_classifier(file: pathlib.Path, classifier: Classifier) -> None:
    """Writes a classifier, whole or not at all.

    Args:
        file: the path of the `.npz` file. An earlier classifier there is replaced.
        classifier: the classifier.
    """
    make_way(file.parent, is_for_folder=True)
    make_folder(file.parent)
    make_way(file)
    with replacing(file) as draft, draft.open("wb") as opened:  # np.savez would add an ending to a path
        names = np.array([name.encode("utf-8", "surrogateescape") for name in classifier.names])
        np.savez(opened, **{**vars(classifier), "names": names})


def load_classifier(file: pathlib.Path) -> Classifier:
    """Reads a classifier.

    Args:
        file: the path of the `.npz` file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no classifier, or one that is damaged.
    """
    held = load_arrays(file)
    try:
        kernel, bias = (held[name].astype(np.float32) for name in ("kernel", "bias"))
        names = tuple(name.decode("utf-8", "surrogateescape") for name in held["names"].tolist())
        sha256, top1 = str(held["backbone_sha256"]), float(held["top1"])
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"it holds no classifier: {error}") from error
    if kernel.ndim != 2 or kernel.shape[1:] != bias.shape or bias.shape != (len(names),):
        raise ValueError(f"its shapes do not fit: {kernel.shape}, {bias.shape} and {len(names)} names")
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise ValueError("its numbers are not finite")
    return Classifier(kernel, bias, names, top1, sha256)
