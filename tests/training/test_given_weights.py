"""Runs that begin with given weights: what is taken and said, who may resume them, and what is chosen for them."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from simsiam_tf.config.methods import BYOLConfig, SimSiamConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_files import write_release
from simsiam_tf.interop.torch_names import to_torch
from simsiam_tf.networks import resnet18
from simsiam_tf.training import factory, given_weights
from simsiam_tf.training.checkpoints import restore_model
from simsiam_tf.training.conversion import convert
from simsiam_tf.training.given_weights import network_flags, open_given
from simsiam_tf.training.pretrain import pretrain
from simsiam_tf.training.workdir import Workdir
from tests.training.test_pretrain import tiny_config


def config_from(workdir, init_weights="", **run):
    config = tiny_config(workdir)
    heads = SimSiamConfig(projector_layers=2, projector_dim=16, predictor_dim=8)
    run = dataclasses.replace(config.run, init_weights=str(init_weights), **run)
    return dataclasses.replace(config, run=run, model=dataclasses.replace(config.model, of_method=heads))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TF_CONFIG", raising=False)
        folder = tmp_path_factory.mktemp("finished")
        pretrain(config_from(folder))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The folder of a run whose weights come from a file, which takes no training."""
    folder = tmp_path_factory.mktemp("source")
    model = factory.make_model(config_from("unused"))
    write_release(model.backbone, {"projector": model.projector, "predictor": model.predictor}, folder)
    convert(str(folder / "checkpoint.pth.tar"), str(folder / "run"))
    return folder / "run"


def weights_of(workdir, checkpoint=""):
    model = factory.make_model(Workdir(workdir).config())
    restore_model(model, workdir / "checkpoints", checkpoint)
    return {variable.path: variable.numpy() for variable in model.variables}


@pytest.mark.slow
def test_a_run_begins_where_another_ended_and_says_so(finished, tmp_path, console, capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    begun = {}

    def noting(model, given, strategy):
        said = given_weights.begin_with_given(model, given, strategy)
        begun.update({variable.path: variable.numpy() for variable in model.variables})
        return said

    monkeypatch.setattr("simsiam_tf.training.pretrain.begin_with_given", noting)
    config = config_from(tmp_path / "further", finished)
    pretrain(config)
    lines = capsys.readouterr().out.splitlines()
    taken = f"Took backbone, projector and predictor from step-2 of the run in {finished}."
    assert lines.index(taken) + 1 == next(i for i, line in enumerate(lines) if line.startswith("Starting: "))
    before = weights_of(finished)
    assert begun.keys() == before.keys()
    for path, value in before.items():
        np.testing.assert_array_equal(begun[path], value)
    assert any(not np.array_equal(before[path], value) for path, value in weights_of(tmp_path / "further").items())
    written = json.loads((tmp_path / "further" / "config.json").read_text())
    assert written["initial_weights"] == taken
    assert written["config"]["run"]["init_weights"] == str(finished)


@pytest.mark.slow
def test_a_resumed_run_needs_the_same_weights_named_and_not_their_file(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    file, workdir = tmp_path / "given.pth", tmp_path / "run"
    file.write_bytes(pth_bytes(to_torch(resnet18(width=0.0625, cifar_stem=True))))
    pretrain(config_from(workdir, "given.pth"))
    with pytest.raises(UsageError, match=rf"init_weights: {file} in the folder, none now"):
        pretrain(config_from(workdir))
    with pytest.raises(UsageError, match=r"there is nothing|other.pth now"):
        pretrain(config_from(workdir, "other.pth"))
    file.unlink()
    (workdir / "summary.json").unlink()
    pretrain(config_from(workdir, pathlib.Path("..") / tmp_path.name / "given.pth"))
    assert "loss" in Workdir(workdir).summary()


@pytest.mark.slow
def test_another_length_of_a_finished_run_names_the_flag(finished):
    with pytest.raises(
        UsageError,
        match=rf"\(epochs: 1 in the folder, 5 now\); give another folder, with --init_weights={finished} to train its",
    ):
        pretrain(config_from(finished, epochs=5))


def test_a_run_of_another_method_takes_the_backbone(source):
    config = config_from("unused", source)
    heads = BYOLConfig(projector_layers=2, projector_dim=16, predictor_dim=8)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, of_method=heads))
    model = factory.make_model(config)
    said = open_given(str(source)).assign_to(model)
    assert said.startswith(
        f"Took the backbone alone from step-0 of the run in {source}; the heads begin anew, because "
    )
    assert model.target is not None
    for own, copy in zip(model.backbone.variables, model.target.networks[0].variables, strict=True):
        np.testing.assert_array_equal(own.numpy(), copy.numpy())


def test_a_run_of_another_precision_gives_its_weights(source, float64):
    """The source is of float32, and this run computes in float64."""
    model = factory.make_model(config_from("unused"))
    assert model.variables[0].dtype == "float64"
    assert "Took backbone, projector and predictor" in open_given(str(source)).assign_to(model)


@pytest.mark.parametrize("kind", ["nothing", "folder", "damaged", "name too long"])
def test_what_holds_no_weights_is_refused_before_anything_is_made(tmp_path, kind, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    place = tmp_path / ("given" if kind != "name too long" else "g" * 300)
    if kind == "folder":
        place.mkdir()
    if kind == "damaged":
        place.write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"^--init_weights must be .*Received: .*/(given|g{300})\.$"):
        pretrain(config_from(tmp_path / "run", place))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("https://example.org/checkpoint_0099.pth.tar", "download it first, and name the file"),
        ("{}/checkpoints/step-0", "name the folder of the run, whose latest checkpoint is taken"),
        ("{}/checkpoints", "name the folder of the run"),
    ],
)
def test_what_people_name_instead_is_told_the_way(source, named, words):
    with pytest.raises(UsageError, match=words):
        open_given(named.format(source))


@pytest.mark.slow
def test_weights_that_do_not_fit_leave_a_folder_that_another_start_can_use(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    (tmp_path / "given.pth").write_bytes(pth_bytes(to_torch(resnet18(width=0.125))))
    with pytest.raises(UsageError, match=r"resnet18 of width 0.0625 with the 3x3 stem; .*7x7 stem\.$"):
        pretrain(config_from(tmp_path / "run", tmp_path / "given.pth"))
    pretrain(config_from(tmp_path / "run"))
    assert "loss" in Workdir(tmp_path / "run").summary()


def test_a_folder_of_timm_is_opened(tmp_path):
    from safetensors import numpy as safetensors

    folder = tmp_path / "timm"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors.save(to_torch(resnet18(width=0.0625))))
    assert open_given(str(folder)).origin == f"{folder / 'model.safetensors'}, in the layout of torchvision or timm"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ('{"architecture": "resnetblur18"}', "names resnetblur18, which is not resnet18"),
        ('{"pretrained_cfg": {"mean": [0.5, "x", 0.5]}}', "no mean of three colours"),
        ('{"pretrained_cfg": {"mean": [0.5, 0.5, 1' + "0" * 400 + "]}}", "no mean of three colours"),
        ('{"pretrained_cfg": {"mean": [0.5]}}', "no mean of three colours"),
        ('{"pretrained_cfg": [7]}', "no mean of three colours"),
        ('{"architecture": "resnet18", "pretrained_cfg": {"mean": [0.5, 0.5, 0.5]}}', "expects images with the mean"),
    ],
)
def test_a_folder_of_timm_of_another_network_or_other_images_is_refused(tmp_path, config, why):
    from safetensors import numpy as safetensors

    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(safetensors.save(to_torch(resnet18(width=0.0625))))
    with pytest.raises(UsageError, match=why):
        open_given(str(tmp_path))


def test_the_network_of_given_weights_is_known(source, tmp_path):
    assert network_flags(open_given(str(source))) == {
        "arch": "resnet18",
        "width": 0.0625,
        "stem": "cifar",
        "projector_dim": 16,
        "projector_layers": 2,
        "projector_hidden_dim": 32,
        "predictor_dim": 8,
        "bn_placement": "release",
    }
    (tmp_path / "given.pth").write_bytes(pth_bytes(to_torch(resnet18(width=0.125))))
    assert network_flags(open_given(str(tmp_path / "given.pth"))) == {
        "arch": "resnet18",
        "width": 0.125,
        "stem": "imagenet",
        "projector_dim": 256,
        "predictor_dim": 64,
    }


def test_weights_in_a_bucket_are_taken(source, tmp_path, gcs):
    """A file, a run, and what is not there."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "given.pth").write_bytes(pth_bytes(to_torch(resnet18(width=0.0625, cifar_stem=True))))
    gcs.upload(tmp_path / "files", "files")
    gcs.upload(source, "run")
    model = factory.make_model(config_from("unused"))
    assert "torchvision or timm" in open_given(f"{gcs.address}/files/given.pth").assign_to(model)
    said = open_given(f"{gcs.address}/run").assign_to(model)
    assert said == f"Took backbone, projector and predictor from step-0 of the run in {gcs.address}/run."
    with pytest.raises(UsageError, match=r"there is nothing\. Received: gs://"):
        open_given(f"{gcs.address}/nothing.pth")
