"""Makes copies of networks in float32, the precision of every export."""

import contextlib
from collections.abc import Iterator

import keras

from simsiam_tf.errors import UsageError


@contextlib.contextmanager
def float32_layers() -> Iterator[None]:
    """Lets Keras make layers in float32 inside the `with` block, whatever the process computes in."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def in_float32(backbone: keras.Model) -> keras.Model:
    """Returns a backbone that computes in float32, with the same weights.

    Args:
        backbone: a network of this package, in any precision; or any network in float32.

    Returns:
        The backbone itself if it is in float32 already, otherwise a copy.

    Raises:
        UsageError: if a network of another package is in another precision, and its copy is too.

    Example:
        >>> import keras
        >>> from simsiam_tf import resnet18
        >>> in_float32(resnet18(width=0.125, dtype="mixed_bfloat16")).compute_dtype
        'float32'
    """
    if _is_float32(backbone):
        return backbone
    config = {name: value for name, value in backbone.get_config().items() if name != "dtype"}
    with float32_layers():
        copy = type(backbone).from_config(config)
    if not _is_float32(copy):
        raise UsageError(f"Only a network that computes in float32 can be exported. Received: {backbone.name}.")
    for ours, theirs in zip(copy.variables, backbone.variables, strict=True):
        ours.assign(theirs.numpy().astype("float32"))
    return copy


def _is_float32(backbone: keras.Model) -> bool:
    """Returns whether all weights are in float32, and every layer computes in it."""
    layers = backbone._flatten_layers()
    return all(layer.compute_dtype == "float32" for layer in layers) and all(
        keras.backend.standardize_dtype(variable.dtype) in ("float32", "uint32", "int32")
        for variable in backbone.variables
    )
