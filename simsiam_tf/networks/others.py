"""Makes backbones of keras.applications and of KerasHub, which the project did not write."""

import inspect
import pathlib
import re
from typing import Any

import keras

from simsiam_tf.config.model import KERAS, KERAS_HUB
from simsiam_tf.errors import UsageError


def make_other(arch: str, image_size: int) -> keras.Model:
    """Makes a backbone that is not one of the project's ResNets, with random weights.

    Args:
        arch: `keras:NAME`, where NAME is a network of keras.applications, or `keras_hub:FOLDER`, where FOLDER holds a
            preset of KerasHub. Only the architecture of a preset is taken.
        image_size: the side of the views, pixels.

    Returns:
        A functional model from images `[B, H, W, 3]`, normalised as for our own networks, to features `[B, D]`. It has
        no dropout and no preprocessing of its own.

    Raises:
        UsageError: if there is no such network, it does not take images of this size, or KerasHub is not installed.

    Example:
        >>> make_other("keras:MobileNetV3Small", 64).output_shape
        (None, 576)
    """
    kind, _, name = arch.partition(":")
    network = _of_applications(name, image_size) if kind == KERAS else _of_keras_hub(name)
    try:
        shape = network.compute_output_shape((1, image_size, image_size, 3))
    except ValueError as error:
        raise _refusal(arch, image_size, error) from error
    if len(shape) != 2 or shape[-1] is None:
        raise UsageError(f"--arch must be a network that gives features [B, D]. Received: {arch}, which gives {shape}.")
    return _remade(network)


def _refusal(arch: str, image_size: int, error: Exception) -> UsageError:
    reason = str(error).partition("\n")[0].rstrip(".")
    return UsageError(
        f"--arch={arch} must take images of the size of the views; give another --image_size ({reason}). "
        f"Received: --image_size={image_size}."
    )


def _of_applications(name: str, image_size: int) -> keras.Model:
    named = {key: value for key, value in vars(keras.applications).items() if key[0].isupper() and callable(value)}
    if name not in named:
        raise UsageError(
            f"--arch={KERAS}:NAME takes a network of keras.applications: {', '.join(named)}. Received: {name!r}."
        )
    known = inspect.signature(named[name]).parameters
    options: dict[str, Any] = {"include_preprocessing": False} if "include_preprocessing" in known else {}

    def make(side: int | None) -> keras.Model:
        made = named[name](include_top=False, weights=None, pooling="avg", input_shape=(side, side, 3), **options)
        made.compute_output_shape((1, image_size, image_size, 3))
        return made

    try:
        return make(None)
    except ValueError:  # a few networks, such as NASNet, are made for one size
        pass
    try:
        return make(image_size)
    except ValueError as error:
        raise _refusal(f"{KERAS}:{name}", image_size, error) from error


def _of_keras_hub(folder: str) -> keras.Model:
    try:
        import keras_hub
    except ImportError as error:
        raise UsageError(
            f"--arch={KERAS_HUB}:FOLDER needs KerasHub; install it by 'pip install keras-hub'. "
            f"Received: {KERAS_HUB}:{folder}."
        ) from error
    try:
        backbone = keras_hub.models.Backbone.from_preset(str(pathlib.PurePath(folder)), load_weights=False)
    except Exception as error:  # of many kinds, by what is wrong with the preset
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UsageError(
            f"--arch={KERAS_HUB}:FOLDER must name a folder with a preset of KerasHub ({reason}). Received: {folder}."
        ) from error
    images = keras.Input((None, None, 3))
    maps = backbone(images)
    if isinstance(maps, dict) or len(maps.shape) not in (2, 4):
        raise UsageError(f"--arch={KERAS_HUB}:FOLDER must be a network of images. Received: {folder}.")
    features = keras.layers.GlobalAveragePooling2D(name="features")(maps) if len(maps.shape) == 4 else maps
    return keras.Model(images, features, name=re.sub(r"\W", "_", backbone.name))


def _remade(network: keras.Model) -> keras.Model:
    """Makes a network anew, without its dropout, and without names that Keras made by counting.

    Dropout would make the two views of an image differ by more than their augmentation, and the result depend on the
    number of replicas. A checkpoint knows weights by the names of their layers, and how far Keras has counted depends
    on what else the process has made.
    """
    counted: dict[str, int] = {}
    for layer in network._flatten_layers(include_self=False):
        kind = re.sub(r"_\d+$", "", layer.name).replace("_", "")
        if layer.weights and kind == type(layer).__name__.lower():
            counted[layer.name] = len(counted) + 1

    def remade(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in counted:
            config["name"] = f"layer_{counted[layer.name]}"
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):  # EfficientNet's own preprocessing
            return keras.layers.Identity(name=layer.name)
        if isinstance(layer, keras.layers.Dropout):
            config["rate"] = 0.0
        return type(layer).from_config(config)

    made = keras.models.clone_model(network, clone_function=remade, recursive=True)
    for layer in made._flatten_layers():  # also those within a layer that holds others
        rate: Any = getattr(layer, "rate", None)
        if rate and re.search("dropout|droppath|stochasticdepth", type(layer).__name__.lower()):
            layer.rate = 0.0
    for number, variable in enumerate(made.variables):
        # ConvNeXt has variables without names, which Keras counts too. There is no public way to name them afterwards.
        if re.search(r"/variable(_\d+)?$", variable.path):
            variable._path = f"{variable.path.rpartition('/')[0]}/number_{number}"
    return made
