import dataclasses

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
