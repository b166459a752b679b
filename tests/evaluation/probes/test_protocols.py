import pytest

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.evaluation.probes.protocols import PROTOCOLS, ProbeProtocol


def test_defaults_are_the_paper_s_and_any_other_figure_changes_the_name():
    paper, release, sgd = (ProbeProtocol.from_config(name, ProbeConfig(), 50_000) for name in PROTOCOLS)
    assert (paper.optimizer, paper.base_learning_rate, paper.batch_size, paper.epochs) == ("lars", 0.02, 4096, 90)
    assert paper.learning_rate == pytest.approx(0.02 * 16)
    assert (release.optimizer, release.base_learning_rate, release.batch_size) == ("lars", 0.1, 4096)
    assert (sgd.optimizer, sgd.base_learning_rate, sgd.batch_size) == ("sgd", 30.0, 256)
    assert {p.augmentation for p in (paper, release, sgd)} == {"linear_train"}
    assert [p.name for p in (paper, release, sgd)] == ["paper", "release", "sgd"]
    for change in ({"probe_epochs": 10}, {"probe_augmentation": "linear_eval"}, {"probe_base_learning_rate": 5.0}):
        assert ProbeProtocol.from_config("paper", ProbeConfig(**change), 50_000).name == "paper_custom"
    small = ProbeProtocol.from_config("sgd", ProbeConfig(), 64)
    assert (small.batch_size, small.name) == (64, "sgd_custom")
