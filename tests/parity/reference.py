"""Reads the reference's fixtures: values by rule, and the reference's names mapped to our variables."""

import json
import os
import pathlib
import zlib

import numpy as np

PARITY_DIR = pathlib.Path(os.environ.get("SIMSIAM_PARITY_DIR") or pathlib.Path(__file__).parents[1] / "fixtures")


def fixtures(pattern: str) -> list[pathlib.Path]:
    """The fixtures of one kind; a missing kind is no failure, an empty folder is (see test_simsiam)."""
    return sorted(PARITY_DIR.glob(pattern))


def load(path: pathlib.Path):
    return json.loads(path.read_text())


def rng(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def initial_value(name: str, shape: list[int]) -> np.ndarray:
    """The value that the reference's tensor starts from, in PyTorch's layout."""
    if name.endswith("running_mean"):
        value = np.zeros(shape)
    elif name.endswith("running_var"):
        value = np.ones(shape)
    elif len(shape) == 4:
        value = rng(name).standard_normal(shape) * np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
    elif len(shape) == 2:
        value = rng(name).uniform(-1, 1, shape) / np.sqrt(shape[1])
    elif name.endswith(".weight"):
        value = 1 + 0.1 * rng(name).standard_normal(shape)
    else:
        value = 0.1 * rng(name).standard_normal(shape)
    return value.astype(np.float32)


def views(batch: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    coarse = rng("x0.0").standard_normal((batch, 4, 4, 3)).repeat(size // 4, 1).repeat(size // 4, 2)
    n1 = rng("x1.0").standard_normal((batch, size, size, 3))
    n2 = rng("x2.0").standard_normal((batch, size, size, 3))
    return (coarse + 0.3 * n1).astype(np.float32), (0.8 * coarse + 0.3 * n2).astype(np.float32)


def to_keras_layout(value: np.ndarray) -> np.ndarray:
    """OIHW to HWIO, [out, in] to [in, out]."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def variables_by_name(model) -> dict:
    """The reference's state-dict names, in its order, to the variables of a SimSiam model."""
    named = {}

    def norm(prefix, layer):
        if layer.affine:
            named[f"{prefix}.weight"], named[f"{prefix}.bias"] = layer.gamma, layer.beta
        named[f"{prefix}.running_mean"] = layer.moving_mean
        named[f"{prefix}.running_var"] = layer.moving_variance

    def mlp(prefix, head):
        position = 0  # in the reference's nn.Sequential: dense, batch norm, ReLU
        for dense, bn in zip(head.dense, head.norm, strict=True):
            named[f"{prefix}.{position}.weight"] = dense.kernel
            if dense.use_bias:
                named[f"{prefix}.{position}.bias"] = dense.bias
            if bn is not None:
                norm(f"{prefix}.{position + 1}", bn)
            position += 3

    backbone = model.backbone
    named["encoder.conv1.weight"] = backbone.stem_conv.kernel
    norm("encoder.bn1", backbone.stem_norm)
    for s, stage in enumerate(backbone.stages, start=1):
        for b, block in enumerate(stage):
            prefix = f"encoder.layer{s}.{b}"
            for i, (conv, bn) in enumerate(zip(block.convs, block.norms, strict=True), start=1):
                named[f"{prefix}.conv{i}.weight"] = conv.kernel
                norm(f"{prefix}.bn{i}", bn)
            if block.shortcut_conv is not None:
                named[f"{prefix}.downsample.0.weight"] = block.shortcut_conv.kernel
                norm(f"{prefix}.downsample.1", block.shortcut_norm)
    mlp("encoder.fc", model.projector)
    mlp("predictor", model.predictor)
    return named
