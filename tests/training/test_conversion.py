"""The folder of a run, made from a file of weights."""

import json
import sys

import numpy as np
import pytest
from absl import flags

import simsiam_tf
from simsiam_tf.cli import convert as command
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EvaluationConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.evaluate import evaluate
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_files import write_release
from simsiam_tf.interop.torch_names import to_torch
from simsiam_tf.methods import SimSiam
from simsiam_tf.networks import resnet18
from simsiam_tf.training.conversion import convert
from simsiam_tf.training.workdir import Workdir


@pytest.fixture
def release(tmp_path):
    model = SimSiam(resnet18(width=0.0625, cifar_stem=True), projector_dim=16, projector_layers=2, predictor_dim=8)
    write_release(model.backbone, {"projector": model.projector, "predictor": model.predictor}, tmp_path)
    return model, tmp_path / "checkpoint.pth.tar"


@pytest.mark.slow
def test_a_release_becomes_a_run_that_is_judged_and_opened(release, tmp_path, console, capsys):
    model, file = release
    convert(str(file), str(tmp_path / "run"), data={"dataset": "shapes", "max_examples": 64})
    *_, taken, done = capsys.readouterr().out.splitlines()
    assert taken == f"Took backbone, projector and predictor from {file}, in the layout of the authors' SimSiam."
    assert done.endswith(f"for shapes at 32 pixels; judge them by evaluate.py --workdir={tmp_path / 'run'}.")
    config = Workdir(tmp_path / "run").config()
    heads = config.model.of_method
    assert (heads.projector_dim, heads.projector_layers, heads.predictor_dim, heads.bn_placement) == (
        16,
        2,
        8,
        "release",
    )
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    backbone = simsiam_tf.load(tmp_path / "run")
    np.testing.assert_array_equal(backbone(images).numpy(), model.backbone(images).numpy())
    evaluate([str(tmp_path / "run")], EvaluationConfig(), {"dataset": "shapes"}, DeviceConfig("one"))
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["knn_top1"]["checkpoint"] == "step-0"


def test_a_backbone_alone_is_of_the_data_that_its_stem_is_for(tmp_path):
    for cifar_stem, data in ((True, ("cifar10", 32)), (False, ("imagenet2012", 224))):
        file, run = tmp_path / f"{cifar_stem}.pth", tmp_path / f"run_{cifar_stem}"
        file.write_bytes(pth_bytes(to_torch(resnet18(width=0.0625, cifar_stem=cifar_stem))))
        convert(str(file), str(run), arch="resnet18")
        config = Workdir(run).config()
        assert (config.data.dataset, config.data.image_size) == data
        assert "the heads begin anew" in Workdir(run).summary()["converted"]["value"]


def test_a_conversion_overwrites_nothing_and_names_what_is_wrong(release, tmp_path, tiny_run):
    _, file = release
    with pytest.raises(UsageError, match="--to exists and is not overwritten"):
        convert(str(file), str(tmp_path))
    with pytest.raises(UsageError, match=r"--arch must be resnet18, of which the weights are. Received: resnet50"):
        convert(str(file), str(tmp_path / "run"), arch="resnet50")
    with pytest.raises(UsageError, match="--from is a run already"):
        convert(str(tiny_run), str(tmp_path / "run"))
    file.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"not written by torch.save"):
        convert(str(file), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_command_takes_its_flags(release, tmp_path, monkeypatch):
    _, file = release
    asked = []
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())  # other tests of this process have defined theirs
    monkeypatch.setattr("simsiam_tf.training.conversion.convert", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(
        sys, "argv", ["convert", f"--from={file}", f"--to={tmp_path / 'run'}", "--dataset=shapes", "--image_size=48"]
    )
    command.main()
    assert asked == [(str(file), str(tmp_path / "run"), "", {"dataset": "shapes", "image_size": 48})]
