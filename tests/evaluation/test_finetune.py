"""The protocol finetune on a finished run."""

import shutil

import keras
import numpy as np
import pytest

from simsiam_tf.data.shapes import make_shapes
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation import finetune
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_names import to_torch
from simsiam_tf.networks import resnet18
from simsiam_tf.training.checkpoints import weights_sha256
from simsiam_tf.training.loop import TrainingLoop
from tests.evaluation.judging import RECORD, judge, summary


@pytest.mark.slow
def test_finetuning_on_a_share_of_the_labels(tiny_run, capsys):
    options = {"label_fraction": 0.02, "finetune_epochs": 2, "finetune_batch_size": 50, "finetune_backbone_lr": 0.1}
    judge(tiny_run, protocol="finetune", **options)
    record = summary(tiny_run)["finetune_2pct_top1"]
    assert set(record) >= RECORD
    assert (record["train_size"], record["label_fraction"], record["batch_size"]) == (100, 0.02, 50)
    assert record["backbone_learning_rate"] == pytest.approx(0.1 * 50 / 256)
    names = (tiny_run / "finetune").glob("2pct-*/labelled.txt")
    listed = [int(line) for line in next(names).read_text().split()]
    assert np.bincount(make_shapes("train")[1][listed]).tolist() == [10] * 10
    checkpoints = list((tiny_run / "finetune").glob("2pct-*/checkpoints/step-4.index"))
    assert len(checkpoints) == 1
    # Again: nothing is left to train, and the result is the same.
    capsys.readouterr()
    judge(tiny_run, protocol="finetune", **options)
    assert "Epoch" not in capsys.readouterr().out
    assert summary(tiny_run)["finetune_2pct_top1"]["value"] == record["value"]
    # The same images as a list in a file, by their positions.
    file = tiny_run.parent / "mine.txt"
    file.write_text("\n".join(map(str, listed)))
    keras.utils.set_random_seed(7)  # whatever was drawn before
    judge(tiny_run, protocol="finetune", **{**options, "label_fraction": 1.0}, label_file=str(file))
    assert summary(tiny_run)["finetune_mine_top1"]["value"] == record["value"]


@pytest.mark.slow
def test_stopped_finetuning_ends_with_the_bits_of_one_that_was_not(tiny_run, tmp_path, monkeypatch):
    options = {"label_fraction": 0.02, "finetune_epochs": 2, "finetune_batch_size": 50}
    digests, run = [], TrainingLoop.run

    def stopping(self, epochs):
        run(self, range(epochs.start, epochs.start + 1))
        raise KeyboardInterrupt

    def watched(self, epochs):
        run(self, epochs)
        digests.append(weights_sha256(self._model))

    stopped = shutil.copytree(tiny_run, tmp_path / "stopped")
    monkeypatch.setattr(TrainingLoop, "run", stopping)
    with pytest.raises(KeyboardInterrupt):
        judge(stopped, protocol="finetune", **options)
    monkeypatch.setattr(TrainingLoop, "run", watched)
    judge(stopped, protocol="finetune", **options)
    judge(tiny_run, protocol="finetune", **options)
    assert summary(stopped)["finetune_2pct_top1"]["continued_at_step"] == 2
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_backbone_of_rate_zero_stays_and_the_head_learns(tiny_run, monkeypatch):
    seen = []
    fit = finetune.fit

    def watched(run, *args):
        before = [v.numpy() for v in run.backbone.trainable_variables]
        model, step = fit(run, *args)
        seen.append((before, model))
        return model, step

    monkeypatch.setattr(finetune, "fit", watched)
    options = {"label_fraction": 0.02, "finetune_epochs": 1, "finetune_batch_size": 50, "finetune_backbone_lr": 0.0}
    judge(tiny_run, protocol="finetune", **options)
    before, model = seen[0]
    for old, variable in zip(before, model.backbone.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert np.abs(model.classifier.bias.numpy()).max() > 0


@pytest.mark.slow
def test_finetuning_begins_with_given_weights(tiny_run, tmp_path, monkeypatch, console, capsys):
    """Features of the first step are those of the given network, and the results have a name of their own."""
    given = resnet18(width=0.0625, cifar_stem=True)
    (tmp_path / "theirs.pth.tar").write_bytes(pth_bytes(to_torch(given)))
    begun, fit = [], finetune.fit

    def noting(run, *args):
        begun.append([variable.numpy() for variable in run.backbone.variables])
        return fit(run, *args)

    monkeypatch.setattr(finetune, "fit", noting)
    options = {"label_fraction": 0.02, "finetune_epochs": 1, "finetune_batch_size": 50}
    judge(tiny_run, protocol="finetune", **options)
    judge(tiny_run, protocol="finetune", init_weights=str(tmp_path / "theirs.pth.tar"), **options)
    for ours, theirs in zip(begun[1], given.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
    assert any(not np.array_equal(a, b) for a, b in zip(*begun, strict=True))
    record = summary(tiny_run)["finetune_2pct_from_theirs_top1"]
    assert record["initial_weights"].startswith(f"Took the backbone alone from {tmp_path / 'theirs.pth.tar'}")
    assert "finetune_2pct_top1" in summary(tiny_run)
    assert len(list((tiny_run / "finetune").iterdir())) == 2
    with pytest.raises(UsageError, match="--init_weights goes with --protocol=finetune alone"):
        judge(tiny_run, protocol="knn", init_weights="x")
