"""Reads the reference's fixtures: values by rule, and the reference's names mapped to our variables."""

import json
import os
import pathlib
import re
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


def initial_value(name: str, shape: list[int], factor: float = 1.0) -> np.ndarray:
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
    return (factor * value).astype(np.float32)


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
    named = resnet_variables(model.backbone, "encoder.")

    def mlp(prefix, head):
        named, position = {}, 0  # in the reference's nn.Sequential: dense, batch norm, ReLU
        for dense, bn in zip(head.dense, head.norm, strict=True):
            named[f"{prefix}.{position}.weight"] = dense.kernel
            if dense.use_bias:
                named[f"{prefix}.{position}.bias"] = dense.bias
            if bn is not None:
                named |= norm_variables(f"{prefix}.{position + 1}", bn)
            position += 3
        return named

    named |= mlp("encoder.fc", model.projector)
    return named | mlp("predictor", model.predictor)


def norm_variables(prefix: str, layer) -> dict:
    trained = {f"{prefix}.weight": layer.gamma, f"{prefix}.bias": layer.beta} if layer.affine else {}
    return trained | {f"{prefix}.running_mean": layer.moving_mean, f"{prefix}.running_var": layer.moving_variance}


def resnet_variables(backbone, before: str = "") -> dict:
    """torchvision's names, in its order, to the variables of a ResNet."""
    named = {f"{before}conv1.weight": backbone.stem_conv.kernel, **norm_variables(f"{before}bn1", backbone.stem_norm)}
    for s, stage in enumerate(backbone.stages, start=1):
        for b, block in enumerate(stage):
            prefix = f"{before}layer{s}.{b}"
            for i, (conv, bn) in enumerate(zip(block.convs, block.norms, strict=True), start=1):
                named[f"{prefix}.conv{i}.weight"] = conv.kernel
                named |= norm_variables(f"{prefix}.bn{i}", bn)
            if block.shortcut_conv is not None:
                named[f"{prefix}.downsample.0.weight"] = block.shortcut_conv.kernel
                named |= norm_variables(f"{prefix}.downsample.1", block.shortcut_norm)
    return named


def detector_variables_by_name(model) -> dict:
    """The reference's names, which are Detectron2's beside those of the ResNet, to the variables of a detector."""
    rpn, box, mask = "proposal_generator.rpn_head", "roi_heads.box_predictor", "roi_heads.mask_head"
    layers = {
        f"{rpn}.conv": model.proposal_head.conv,
        f"{rpn}.objectness_logits": model.proposal_head.scores,
        f"{rpn}.anchor_deltas": model.proposal_head.deltas,
        f"{box}.cls_score": model.box_head.scores,
        f"{box}.bbox_pred": model.box_head.deltas,
    }
    if model.mask_head is not None:
        layers |= {f"{mask}.deconv": model.mask_head.upsample, f"{mask}.predictor": model.mask_head.logits}
    named = resnet_variables(model.backbone) | norm_variables("roi_heads.res5.norm", model.region_norm)
    for name, layer in layers.items():
        named |= {f"{name}.weight": layer.kernel, f"{name}.bias": layer.bias}
    return named


def draw(name: str, shape) -> np.ndarray:
    return rng(name).standard_normal(tuple(shape))


def mask_of_runs(runs: list[int], height: int, width: int) -> np.ndarray:
    """A mask `[height, width]` from the lengths of the alternating runs of its rows, zeros first."""
    return np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width).astype(bool)


def drawn_by_rule(rule: str, **sizes: int) -> np.ndarray:
    """Values by a rule such as `2 * draw('det.l.mz.14', (n, K, M, M))`."""
    factor, name, shape = re.fullmatch(r"([\d.]+) \* draw\('([^']+)', \(([^)]*)\)\)", rule).groups()
    return float(factor) * draw(name, [sizes.get(part.strip()) or int(part) for part in shape.split(",")])


def pasted_probabilities(rule: str, count: int, size: int) -> np.ndarray:
    """Smooth probabilities `[count, size, size]` by the rule of the masks that are pasted."""
    name = re.search(r"draw\('([^']+)'", rule)[1]
    q = 1 / (1 + np.exp(-3 * draw(name, (count, size, size))))
    return (q + np.roll(q, 1, 1) + np.roll(q, 1, 2) + np.roll(np.roll(q, 1, 1), 1, 2)) / 4
