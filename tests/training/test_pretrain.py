import dataclasses
import os

import pytest

from simsiam_tf.config.methods import SimSiamConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.errors import Stopped
from simsiam_tf.training.lookahead import Lookahead
from simsiam_tf.training.pretrain import pretrain
from simsiam_tf.training.workdir import Workdir
from tests.config.test_run import make_config


def tiny_config(workdir):
    """Sec. 5.2's alternation on a few small images, without kNN."""
    heads = SimSiamConfig(projector_layers=2, projector_dim=16, predictor_dim=8, alternation_steps="2")
    config = make_config(epochs=1, knn_every_epochs=0)
    return dataclasses.replace(
        config,
        model=ModelConfig(arch="resnet18", width=0.0625, of_method=heads),
        data=dataclasses.replace(
            config.data, dataset="shapes", image_size=32, max_examples=16, global_batch_size=8, download=False
        ),
        run=dataclasses.replace(config.run, workdir=str(workdir)),
    )


def test_a_run_stopped_before_its_first_step_has_its_first_line_once(tmp_path, monkeypatch):
    """Stopped while it computes the targets of the first steps, a run has a checkpoint of step 0."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(Lookahead, "prepare", lambda self, step, stop: False)  # as if a signal came meanwhile
    for _ in range(2):
        with pytest.raises(Stopped, match="saved at step 0"):
            pretrain(tiny_config(tmp_path))
    assert [line["epoch"] for line in Workdir(tmp_path).metrics()] == [0]


def stopping_at_once(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(Lookahead, "prepare", lambda self, step, stop: False)  # as if a signal came meanwhile


def test_a_run_in_a_folder_of_any_name_is_resumed(tmp_path, monkeypatch, console, capsys):
    stopping_at_once(monkeypatch)
    folder = tmp_path / f"lr[0.1]*?{os.fsdecode(b'caf' + bytes([0xE9]))}" / "back\\slash"
    for _ in range(2):
        with pytest.raises(Stopped, match="saved at step 0"):
            pretrain(tiny_config(folder))
    assert len(list((folder / "tensorboard").glob("events.out.*"))) == 2
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_finished_run_without_its_records_gets_them_again(tmp_path, monkeypatch, console, capsys):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    pretrain(tiny_config(tmp_path))
    workdir = Workdir(tmp_path)
    before = workdir.summary()
    workdir.summary_path.unlink()
    workdir.metrics_path.unlink()
    capsys.readouterr()
    pretrain(tiny_config(tmp_path))
    assert "metrics.jsonl has no line up to step 2; it goes on with epoch 1." in capsys.readouterr().err
    assert [line["epoch"] for line in workdir.metrics()] == [1]
    assert {name: workdir.summary()[name] for name in ("loss", "weights_sha256")} == {
        name: before[name] for name in ("loss", "weights_sha256")
    }
