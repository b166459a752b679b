"""Weights for other programs: their names, their files, and what a format cannot hold."""

import json

import keras
import numpy as np
import pytest
from safetensors import numpy as safetensors

from simsiam_tf.errors import UsageError
from simsiam_tf.interop import torch_files
from simsiam_tf.interop.formats import Exported, export
from simsiam_tf.interop.given import read_weights
from simsiam_tf.interop.torch_names import COUNT, from_torch, named_weights, to_torch
from simsiam_tf.networks import BACKBONES, resnet18
from simsiam_tf.networks.heads import make_predictor, make_projector


@pytest.fixture
def backbone(rng):
    model = resnet18(width=0.0625)
    for variable in model.variables:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype(np.float32))
    return model


@pytest.mark.parametrize(("arch", "count"), [("resnet18", 60), ("resnet50", 159)])
def test_names_are_torchvision_s(arch, count):
    """torchvision's resnet18 has 62 parameters and resnet50 161, of which two are of fc; 20 and 53 batch norms."""
    model = BACKBONES[arch](width=0.0625)
    names = [weight.name for weight in named_weights(model)]
    parameters = [name for name in names if "running" not in name]
    assert len(parameters) == len(model.trainable_variables) == count
    assert len(names) == len(set(names)) == len(model.variables)
    assert {"conv1.weight", "layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var"} <= set(names)
    assert "layer4.1.conv3.weight" in names if arch == "resnet50" else "layer4.1.conv2.weight" in names
    assert sum(name.endswith(COUNT) for name in to_torch(model)) == sum(name.endswith("running_var") for name in names)


def test_weights_go_out_and_come_back_in_all_bits(backbone):
    arrays = to_torch(backbone)
    assert arrays["conv1.weight"].shape == (4, 3, 7, 7)
    kernel = backbone.stem_conv.kernel.numpy()
    assert arrays["conv1.weight"][2, 1, 5, 6] == kernel[5, 6, 1, 2]
    again = resnet18(width=0.0625)
    from_torch(again, arrays)
    for ours, theirs in zip(again.variables, backbone.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_formats_are_added_to_each_other_and_said(backbone, tmp_path):
    folder = tmp_path / "export"
    assert export(Exported(backbone, 32), folder, ["safetensors"])["safetensors"].startswith(
        "checked by reading it back"
    )
    done = export(Exported(backbone, 32), folder, ["keras", "safetensors"])
    assert done["safetensors"] == "is there already"
    assert done["keras"].startswith("checked by Keras, features to ")
    assert {path.name for path in folder.iterdir()} == {"backbone.keras", "safetensors"}
    held = safetensors.load_file(folder / "safetensors" / "model.safetensors")
    assert set(held) == set(to_torch(backbone))
    assert "torchvision.models.resnet18()" in (folder / "safetensors" / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_file_that_gives_other_features_is_not_kept(backbone, tmp_path, monkeypatch):
    def to_torch_wrongly(model):
        arrays = to_torch(model)
        return arrays | {"bn1.bias": arrays["bn1.bias"] + 1}

    monkeypatch.setattr(torch_files, "to_torch", to_torch_wrongly)
    with pytest.raises(FloatingPointError, match=r"differ by .*nothing was kept"):
        export(Exported(backbone, 32), tmp_path / "export", ["safetensors"])
    assert not list(tmp_path.iterdir())


def test_what_a_format_cannot_hold_is_refused_before_anything_is_written(backbone, tmp_path):
    with pytest.raises(UsageError, match=r"--format=timm .*safetensors holds any. Received: width 0.0625.$"):
        export(Exported(backbone, 32), tmp_path / "export", ["safetensors", "timm"])
    with pytest.raises(UsageError, match=r"Received: width 1, CIFAR stem.$"):
        export(Exported(resnet18(cifar_stem=True), 32), tmp_path / "export", ["timm"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_folder_of_timm(tmp_path):
    export(Exported(resnet18(), 64), tmp_path / "export", ["timm"])
    config = json.loads((tmp_path / "export" / "timm" / "config.json").read_text())
    assert config["architecture"] == "resnet18"
    assert config["pretrained_cfg"]["input_size"] == [3, 64, 64]
    assert config["num_features"] == 512


def test_an_export_into_a_bucket(backbone, gcs):
    from simsiam_tf.files import as_path

    export(Exported(backbone, 32), as_path(f"{gcs.address}/export"), ["keras", "safetensors"])
    assert gcs.names("export/") == ["backbone.keras", "safetensors/README.md", "safetensors/model.safetensors"]


def test_every_format_of_weights_holds_the_same(backbone, tmp_path):
    """safetensors, torch and release; timm and detectron2 hold networks of width 1 alone."""
    heads = {"projector": make_projector(32, 16, 2), "predictor": make_predictor(16, 8)}
    formats = ["safetensors", "torch", "release"]
    done = export(Exported(backbone, 32, heads), tmp_path / "export", formats)
    assert all(said.startswith("checked by reading it back, features to ") for said in done.values())
    for name, file in zip(formats, ("model.safetensors", "network.pth", "checkpoint.pth.tar"), strict=True):
        folder = tmp_path / "export" / name
        assert {path.name for path in folder.iterdir()} == {file, "README.md"}
        assert len((folder / "README.md").read_text().splitlines()) <= 8
        given = read_weights(folder / file)
        assert given.backbone.keys() >= {weight.name for weight in named_weights(backbone)}
        assert bool(given.heads) == (name == "release")


@pytest.mark.slow
def test_a_file_of_detectron2_is_read_back(tmp_path):
    done = export(Exported(resnet18(), 64), tmp_path / "export", ["detectron2"])
    assert done["detectron2"].startswith("checked by reading it back, features to ")
    assert "STRIDE_IN_1X1 False" in (tmp_path / "export" / "detectron2" / "README.md").read_text()


def test_a_whole_simsiam_is_asked_of_a_release_and_a_resnet_of_torch_s_names(backbone, tmp_path):
    with pytest.raises(UsageError, match=r"release holds a whole SimSiam.*Received: projector\.$"):
        export(Exported(backbone, 32, {"projector": make_projector(32, 16, 2)}), tmp_path / "export", ["release"])
    images = keras.Input((None, None, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
    network = keras.Model(images, features, name="mine")
    for name in ("safetensors", "torch", "release", "timm", "detectron2"):
        with pytest.raises(UsageError, match=rf"--format={name} holds our ResNets; .*Received: mine\.$"):
            export(Exported(network, 32), tmp_path / "export", [name])
    assert export(Exported(network, 32), tmp_path / "export", ["keras"])["keras"].startswith("checked by Keras")


def test_a_readme_of_the_user_s_own_stays(backbone, tmp_path):
    (tmp_path / "export" / "torch").mkdir(parents=True)
    (tmp_path / "export" / "torch" / "README.md").write_text("my model card")
    export(Exported(backbone, 32), tmp_path / "export", ["torch", "safetensors"])
    assert (tmp_path / "export" / "torch" / "README.md").read_text() == "my model card"
    shown = (tmp_path / "export" / "safetensors" / "README.md").read_text()
    assert "resnet18()  # of 0.0625 times the channels" in shown
    export(Exported(resnet18(cifar_stem=True, width=0.5), 32), tmp_path / "small", ["torch"])
    assert (
        "network.conv1 = torch.nn.Conv2d(3, 32, 3, padding=1, bias=False)"
        in (tmp_path / "small" / "torch" / "README.md").read_text()
    )
