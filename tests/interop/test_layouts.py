"""Whose program wrote a file of weights, and of which network they are."""

import numpy as np
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
    for prefix in ("backbone.", "encoder."):  # the present versions', and the older ones'
        weights = {f"{prefix}{n}": a for n, a in to_torch(resnet18(width=0.0625, cifar_stem=True)).items()}
        for others in ({}, {"projector.0.weight": np.zeros((4, 32), np.float32)}):
            both = weights | others | {name.replace("projector", "predictor"): a for name, a in others.items()}
            (tmp_path / "solo.ckpt").write_bytes(pth_bytes({"state_dict": both}))
            with pytest.raises(UsageError, match="may pad them by 2 pixels, as solo-learn's does"):
                read_weights(tmp_path / "solo.ckpt")


def test_a_network_for_segmentation_is_refused(tmp_path):
    """torchvision's have dilated backbones, whose names and shapes are those of others."""
    weights = {f"backbone.{n}": a for n, a in to_torch(resnet18(width=0.0625)).items()}
    weights["classifier.0.convs.0.0.weight"] = np.zeros(3, np.float32)
    (tmp_path / "deeplab.pth").write_bytes(pth_bytes(weights))
    with pytest.raises(UsageError, match="segmentation, whose convolutions may be dilated"):
        read_weights(tmp_path / "deeplab.pth")


def test_weights_of_the_linear_evaluation_are_found_beside_its_best_accuracy(tmp_path):
    weights = {f"module.{n}": a for n, a in to_torch(resnet18(width=0.0625)).items()}
    tree = {"epoch": 90, "best_acc1": np.array(68.1), "state_dict": weights | {"module.fc.bias": np.zeros(3)}}
    (tmp_path / "model_best.pth.tar").write_bytes(pth_bytes(tree))
    assert read_weights(tmp_path / "model_best.pth.tar").left_out == ("fc.bias",)


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
