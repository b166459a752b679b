"""Whose program wrote a file of weights, and of which network they are."""

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.interop.given import read_weights
from simsiam_tf.interop.layouts import describe_backbone
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_names import to_torch
from simsiam_tf.networks import BACKBONES, resnet18

_DEEPER = sorted(set(BACKBONES) - {"resnet18", "resnet50"})


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", *(pytest.param(a, marks=pytest.mark.slow) for a in _DEEPER)])
def test_a_network_is_known_by_its_weights(arch):
    for cifar_stem in (False, True):
        backbone = BACKBONES[arch](width=0.0625, cifar_stem=cifar_stem)
        assert describe_backbone(to_torch(backbone)) == (arch, 0.0625, cifar_stem)


def test_solo_learn_s_network_for_small_images_is_refused(tmp_path):
    """Its first convolution pads by 2 pixels."""
    weights = {f"backbone.{n}": a for n, a in to_torch(resnet18(width=0.0625, cifar_stem=True)).items()}
    (tmp_path / "solo.ckpt").write_bytes(pth_bytes({"state_dict": weights}))
    with pytest.raises(UsageError, match="solo-learn's network for small images pads them by 2 pixels"):
        read_weights(tmp_path / "solo.ckpt")


def test_lightly_s_sequence_for_small_images_is_refused(tmp_path):
    """It has lost the ReLU after its first batch norm, which its `forward` applies; see test_with_torch.py."""
    places = {"conv1": "0", "bn1": "1", "layer1": "2", "layer2": "3", "layer3": "4", "layer4": "5"}
    weights = {}
    for name, array in to_torch(resnet18(width=0.0625, cifar_stem=True)).items():
        layer, _, rest = name.partition(".")
        weights[f"backbone.{places[layer]}.{rest.replace('downsample', 'shortcut')}"] = array
    (tmp_path / "lightly.ckpt").write_bytes(pth_bytes({"state_dict": weights}))
    with pytest.raises(UsageError, match="has no ReLU after its first batch norm"):
        read_weights(tmp_path / "lightly.ckpt")
