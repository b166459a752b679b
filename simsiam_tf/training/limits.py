"""Refuses runs that need more memory than there is, and knows slow ones, before anything is built.

The estimates are lower bounds, so that no run is refused that would fit.
"""

import dataclasses
import math
from collections.abc import Iterator

from simsiam_tf.augment import policies
from simsiam_tf.config.run import Config, resolve_stem
from simsiam_tf.errors import UsageError
from simsiam_tf.host import available_memory, has_bfloat16

# For each architecture the number of blocks in each stage, and whether these are bottlenecks.
_STAGES = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}
_BYTES = {"float64": (8, 8), "float32": (4, 4), "bfloat16": (4, 2), "float16": (4, 2)}  # of weights, of activations


def check_memory(config: Config, replicas: int = 1, shares: int = 1, holds_activations: bool = True) -> None:
    """Checks that the memory of this machine can hold a run.

    Args:
        config: the settings of the run.
        replicas: the number of replicas that keep their weights in this memory.
        shares: the number of machines that each global batch is divided among.
        holds_activations: whether the replicas compute in this memory, and not in that of a GPU or a TPU.

    Raises:
        UsageError: if it cannot. The message names the part that takes the most.
    """
    of_weight, of_activation = _BYTES[config.devices.precision]
    copies = 3 if config.model.of_method.values().get("ema_momentum") else 2  # velocities, and a momentum encoder
    images = max(1, config.data.global_batch_size // config.devices.accumulate_steps // shares)
    weights, views = of_weight * replicas, sum(3 * side * side * count for side, count in _views(config))
    needed = {
        "the backbone (--arch, --width)": _backbone_weights(config) * copies * weights,
        "the heads (--projector_layers, --projector_dim, --projector_hidden_dim)": _head_weights(config)
        * (copies * weights),
        "the method (--queue_size, --num_prototypes, --projector_dim)": _method_numbers(config) * weights,
        "a batch of views (--global_batch_size, --image_size, --small_views)": images * views * of_activation,
    }
    needed["the blur (--blur_max_sigma)"] = _blur_bytes(config)
    if holds_activations:
        activations = images * sum(_activations(config)) * of_activation
        needed["the activations (--global_batch_size, --image_size, --width)"] = activations
    total, there = sum(needed.values()), available_memory()
    if total > there:
        most = max(needed, key=lambda part: needed[part])
        raise UsageError(
            f"The run must fit into the free memory, {there / 2**30:.3g} GiB; lower the sizes, or raise "
            f"--accumulate_steps. Received: settings that need at least {total / 2**30:.3g} GiB, most of it for {most}."
        )


def multiplications(config: Config) -> float:
    """Counts the multiplications of the backbone's convolutions in the forward passes of all views of one image."""
    return sum(
        count * size**2 * fan_in * fan_out * math.ceil(side / stride) ** 2
        for side, count in _views(config)
        for size, fan_in, fan_out, stride in _convolutions(config)
    )


def slow_precision(config: Config, has_accelerator: bool) -> str:
    """Returns a sentence about a precision that the devices compute very slowly; an empty text for any other.

    Args:
        config: the settings of the run.
        has_accelerator: whether the replicas run on GPUs or TPUs.
    """
    precision = config.devices.precision
    if has_accelerator or precision not in ("float16", "bfloat16"):
        return ""
    lacks_bfloat16 = has_bfloat16() is False
    if precision == "float16":
        other = "float32" if lacks_bfloat16 else "float32 or bfloat16"
        return f"--precision=float16 is very slow on a CPU, often a hundred times; use {other} there."
    if lacks_bfloat16:
        return "--precision=bfloat16 is several times slower than float32 on a CPU without instructions for it."
    return ""


def _convolutions(config: Config) -> Iterator[tuple[int, int, int, int]]:
    """Yields kernel size, channels in, channels out and total stride of each convolution of the backbone."""
    if config.model.arch not in _STAGES:  # of a network of others only the features are counted
        yield 1, 0, 2048, 32
        return
    base, is_small = max(1, round(64 * config.model.width)), resolve_stem(config.model, config.data.image_size)
    yield (3 if is_small else 7), 3, base, 1 if is_small else 2
    channels, stride = base, 1 if is_small else 4
    depths, is_bottleneck = _STAGES[config.model.arch]
    for stage, depth in enumerate(depths):
        width = base * 2**stage
        for block in range(depth):
            before, stride = stride, stride * (2 if stage and not block else 1)
            out = 4 * width if is_bottleneck else width
            if channels != out or before != stride:
                yield 1, channels, out, stride
            if is_bottleneck:
                yield 1, channels, width, before
                yield 3, width, width, stride
                yield 1, width, out, stride
            else:
                yield 3, channels, width, stride
                yield 3, width, width, stride
            channels = out


def _backbone_weights(config: Config) -> int:
    return sum(size * size * fan_in * fan_out for size, fan_in, fan_out, _ in _convolutions(config))


def _feature_dim(config: Config) -> int:
    return list(_convolutions(config))[-1][2]


def _head_weights(config: Config) -> int:
    """Counts the weights of the dense layers of the projector, and of the predictor if there is one."""
    method = config.model.of_method
    values, features = method.values(), _feature_dim(config)
    hidden = method.projector_hidden_dim or features
    count = features * hidden + (method.projector_layers - 2) * hidden * hidden + hidden * method.projector_dim
    if values.get("predictor", "identity") != "identity":
        count += 2 * method.projector_dim * values["predictor_dim"]
    return count


def _method_numbers(config: Config) -> int:
    """Counts the numbers of a queue, of prototypes, and of a matrix of correlations."""
    values, dim = config.model.of_method.values(), config.model.of_method.projector_dim
    count = values.get("queue_size", 0) * dim + values.get("num_prototypes", 0) * dim
    return count + (dim * dim if config.model.method == "barlow_twins" else 0)


def _views(config: Config) -> list[tuple[int, int]]:
    """Returns the sides of the views of an image in pixels, each with the number of its views."""
    size, augment = config.data.image_size, config.augment
    large = (size, 2 * config.model.of_method.pairs_of_views)
    return [large, (max(1, round(augment.small_view_size * size)), augment.small_views)]


def _blur_bytes(config: Config) -> int:
    """Returns what the blur of one image takes: the image with a margin of at least sigma, and the graph of its sum."""
    pair = policies.resolve(dataclasses.replace(config.augment, small_views=0))
    radius = max((int(policy.blur_max_sigma) for policy in pair if policy.blur_p > 0), default=0)
    return radius * (2 * 3 * 4 * config.data.image_size + 1024)


def _activations(config: Config) -> Iterator[int]:
    """Yields, for each convolution, the numbers of its outputs of one image.

    The gradient needs all of them at once, except those of views that are only compared with, as MoCo's keys.
    """
    (large_side, large_count), small = _views(config)
    values = config.model.of_method.values()
    one_sided = config.model.method == "mocov2" or values.get("symmetry", "symmetric") != "symmetric"
    for side, count in ((large_side, large_count // 2 if one_sided else large_count), small):
        for _, _, channels, stride in _convolutions(config):
            yield count * channels * math.ceil(side / stride) ** 2
