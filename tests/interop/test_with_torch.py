"""Weights in and out, beside PyTorch, torchvision, timm, lightly and KerasHub: `make test-interop`."""

import collections
import io

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.errors import UsageError
from simsiam_tf.interop.formats import Exported, export
from simsiam_tf.interop.given import heads_of, read_weights
from simsiam_tf.interop.pth_reading import read_pth
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_names import to_torch
from simsiam_tf.methods import SimSiam
from simsiam_tf.networks import BACKBONES, resnet18
from tests.interop.networks import with_statistics

pytestmark = pytest.mark.interop

SIDE = 64


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def statistics_of(network, seed=0):
    """Gives the batch norms of a network of PyTorch scales, offsets and statistics as after training."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            if module.affine:
                module.weight.data.uniform_(0.3, 0.7, generator=generator)
                module.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval()


def outputs(network, images):
    """Returns what a network of PyTorch makes of images `[N, H, W, 3]`."""
    import torch

    with torch.no_grad():
        return network(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()).numpy()


def assert_near(ours, theirs, tolerance=1e-5):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


@pytest.fixture
def images(rng):
    return rng.normal(size=(4, SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("arch", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize("zipped", [True, False])
def test_torchvision_s_files_are_taken(torch, tmp_path, images, arch, zipped):
    torchvision = pytest.importorskip("torchvision")
    network = statistics_of(getattr(torchvision.models, arch)())
    torch.save(network.state_dict(), tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    backbone = BACKBONES[arch]()
    assert "torchvision or timm" in read_weights(tmp_path / "net.pth").assign_to_backbone(backbone)
    network.fc = torch.nn.Identity()
    assert_near(backbone(images), outputs(network, images))


def test_tensors_are_read_as_torch_reads_them(torch):
    tree = {
        "state_dict": {
            "turned": torch.arange(12.0).reshape(3, 4).T,
            "part": torch.arange(10)[2:8:2],
            "half": torch.linspace(0, 1, 5).to(torch.bfloat16),
            "parameter": torch.nn.Parameter(torch.ones(3)),
            "scalar": torch.tensor(5),
        },
        "optimizer": {"lr": 0.1},
        "callback": collections.Counter("abc"),
    }
    for zipped in (True, False):
        content = io.BytesIO()
        torch.save(tree, content, _use_new_zipfile_serialization=zipped)
        content.seek(0)
        found = read_pth(content)
        assert found.keys() == tree["state_dict"].keys()
        for name, tensor in tree["state_dict"].items():
            np.testing.assert_array_equal(found[name].astype(np.float32), tensor.detach().float().numpy())


def test_torch_reads_what_is_written(torch, rng):
    arrays = {"a": rng.normal(size=(2, 3)).astype(np.float32), "n": np.array(4), "d": rng.normal(size=3)}
    read = torch.load(io.BytesIO(pth_bytes({"state_dict": arrays, "arch": "x", "epoch": 3})), weights_only=True)
    assert (read["arch"], read["epoch"]) == ("x", 3)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read["state_dict"][name].numpy(), array, strict=True)


@pytest.mark.parametrize("arch", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize("name", ["safetensors", "torch"])
def test_torchvision_takes_the_exports(torch, tmp_path, images, rng, arch, name):
    torchvision = pytest.importorskip("torchvision")
    from safetensors.torch import load_file

    backbone = with_statistics(BACKBONES[arch](), rng, most=1.0)
    export(Exported(backbone, SIDE), tmp_path, [name])
    file = next((tmp_path / name).glob("*[!d]"))
    state = load_file(file) if name == "safetensors" else torch.load(tmp_path / name / "network.pth", weights_only=True)
    network = getattr(torchvision.models, arch)()
    missing = network.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) == {"fc.weight", "fc.bias"} and not missing.unexpected_keys
    network.fc = torch.nn.Identity()
    assert_near(backbone(images), outputs(network.eval(), images))


def test_timm_and_kerashub_open_the_same_folder(torch, tmp_path, images, rng):
    timm = pytest.importorskip("timm")
    keras_hub = pytest.importorskip("keras_hub")
    backbone = with_statistics(resnet18(), rng, most=1.0)
    export(Exported(backbone, SIDE), tmp_path, ["timm"])
    place = f"local-dir:{tmp_path / 'timm'}"
    assert_near(backbone(images), outputs(timm.create_model(place, pretrained=True).eval(), images))
    assert timm.create_model(place, pretrained=True, num_classes=10).num_classes == 10
    maps = timm.create_model(place, pretrained=True, features_only=True).eval()
    with torch.no_grad():
        theirs = maps(torch.from_numpy(images).permute(0, 3, 1, 2))
    for ours, other in zip(backbone.feature_maps(images).values(), theirs[1:], strict=True):
        assert_near(ours, other.permute(0, 2, 3, 1).numpy())
    hub = keras_hub.models.ResNetBackbone.from_preset(str(tmp_path / "timm"))
    assert_near(backbone(images), keras.ops.mean(hub(images, training=False), (1, 2)))


def simsiam_of_torch(torch, dim=32, hidden=16):
    """Builds a SimSiam from the paper's text, with the names of the authors' checkpoints."""
    torchvision = pytest.importorskip("torchvision")
    nn = torch.nn

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torchvision.models.resnet18()
            width = self.encoder.fc.in_features
            self.encoder.fc = nn.Sequential(
                *(nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()),
                *(nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()),
                *(nn.Linear(width, dim), nn.BatchNorm1d(dim, affine=False)),
            )
            self.predictor = nn.Sequential(
                nn.Linear(dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, dim)
            )

        def forward(self, x):
            z = self.encoder(x)
            return torch.cat([z, self.predictor(z)], 1)

    return statistics_of(Whole())


def z_and_p(model, images):
    z = model.projector(model.backbone(images))
    return tf.concat([z, model.predictor(z)], 1)


def test_a_release_goes_both_ways(torch, tmp_path, images):
    network = simsiam_of_torch(torch)
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 99, "arch": "resnet18", "state_dict": state, "optimizer": {}}, tmp_path / "theirs.pth.tar")
    model = SimSiam(resnet18(), projector_dim=32, predictor_dim=16)
    said = read_weights(tmp_path / "theirs.pth.tar").assign_to(model)
    assert said.startswith("Took backbone, projector and predictor")
    assert_near(z_and_p(model, images), outputs(network, images), 1e-4)
    export(Exported(model.backbone, SIDE, heads_of(model)), tmp_path, ["release"])
    ours = torch.load(tmp_path / "release" / "checkpoint.pth.tar", weights_only=True)["state_dict"]
    again = simsiam_of_torch(torch)
    again.load_state_dict({name.removeprefix("module."): tensor for name, tensor in ours.items()}, strict=True)
    np.testing.assert_array_equal(outputs(again.eval(), images), outputs(network, images))


def test_lightly_s_simsiam_is_taken(torch, tmp_path, images):
    heads = pytest.importorskip("lightly.models.modules.heads")
    torchvision = pytest.importorskip("torchvision")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Sequential(*list(torchvision.models.resnet18().children())[:-1])
            self.projection_head = heads.SimSiamProjectionHead(512, 512, 32)
            self.prediction_head = heads.SimSiamPredictionHead(32, 16, 32)

        def forward(self, x):
            z = self.projection_head(self.backbone(x).flatten(1))
            return torch.cat([z, self.prediction_head(z)], 1)

    network = statistics_of(Module())
    torch.save({"state_dict": network.state_dict(), "pytorch-lightning_version": "2.5"}, tmp_path / "lightly.ckpt")
    model = SimSiam(resnet18(), projector_dim=32, predictor_dim=16)
    said = read_weights(tmp_path / "lightly.ckpt").assign_to(model)
    assert said.startswith("Took backbone, projector and predictor") and "in the layout of lightly." in said
    assert_near(z_and_p(model, images), outputs(network, images), 1e-4)


def test_lightly_s_network_for_small_images_is_taken_whole_alone(torch, tmp_path, images):
    """In a sequence of its layers there is no ReLU after the first batch norm, because its `forward` applies it."""
    models = pytest.importorskip("lightly.models")
    network = statistics_of(models.ResNetGenerator("resnet-18"))
    torch.save({f"backbone.{n}": t for n, t in network.state_dict().items()}, tmp_path / "whole.pth")
    backbone = resnet18(cifar_stem=True)
    small = images[:, :32, :32].copy()
    with pytest.raises(UsageError, match="may pad them by 2 pixels"):  # it has the same names
        read_weights(tmp_path / "whole.pth")
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    assert "Left out: linear.bias, linear.weight" in read_weights(tmp_path / "plain.pth").assign_to_backbone(backbone)
    network.linear = torch.nn.Identity()
    assert_near(backbone(small), outputs(network, small))
    layers = torch.nn.Sequential(*list(network.children())[:-1], torch.nn.AdaptiveAvgPool2d(1))
    torch.save({"state_dict": {f"backbone.{n}": t for n, t in layers.state_dict().items()}}, tmp_path / "layers.ckpt")
    with pytest.raises(UsageError, match="has no ReLU after its first batch norm"):
        read_weights(tmp_path / "layers.ckpt")


def test_files_of_timm_are_taken(torch, tmp_path, images):
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    network = statistics_of(timm.create_model("resnet18", pretrained=False))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    backbone = resnet18()
    assert "Left out: fc.bias, fc.weight" in read_weights(tmp_path / "model.safetensors").assign_to_backbone(backbone)
    network.reset_classifier(0)
    assert_near(backbone(images), outputs(network, images))
    assert to_torch(backbone)["conv1.weight"].shape == (64, 3, 7, 7)
