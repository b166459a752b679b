"""Which process does which protocol, and with which arithmetic."""

import os
import sys

import pytest

from simsiam_tf.cli import evaluate as command
from simsiam_tf.cli import train as training_command
from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EvaluationConfig, TaskConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.run import Config, RunConfig
from simsiam_tf.config.start import StartConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation import evaluate as evaluation
from simsiam_tf.training import pretrain


@pytest.fixture
def judged(monkeypatch):
    """Runs the command for some protocols, with the work itself left out; returns what would have been done."""

    def run(*protocols, code=0):
        done = []

        def note(workdirs, options, data, devices):
            done.append((options.task.protocol, os.environ.get("TF_ENABLE_ONEDNN_OPTS")))

        def start(argv, env):
            done.append((argv[1:], env.get("TF_ENABLE_ONEDNN_OPTS")))
            return code, False

        settings = ["W"], EvaluationConfig(task=TaskConfig(protocol=protocols)), {}, DeviceConfig()
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "--workdir=W"])
        monkeypatch.setattr(command, "evaluation_config", lambda: settings)
        monkeypatch.setattr(evaluation, "evaluate", note)
        monkeypatch.setattr(command, "call", start)
        command.judge()
        return done

    return run


def test_finetuning_among_others_comes_last_in_a_process_of_its_own(judged):
    own = ["-m", "simsiam_tf.cli.evaluate", "--workdir=W", "--protocol=finetune"]
    assert judged("finetune", "knn", "export") == [(("knn", "export"), "1"), (own, None)]


def test_finetuning_alone_is_done_here_without_onednn(judged):
    assert judged("finetune") == [(("finetune",), None)]


def test_a_failure_of_finetuning_is_the_commands(judged):
    with pytest.raises(SystemExit) as stopped:
        judged("knn", "finetune", code=3)
    assert stopped.value.code == 3


@pytest.mark.parametrize("protocols", [("knn", "fientune"), ("KNN",), ()])
def test_a_protocol_that_is_none_is_refused(protocols):
    with pytest.raises(UsageError, match=r"--protocol must .* Received: "):
        TaskConfig(protocol=protocols)


@pytest.mark.parametrize(("deterministic", "expected"), [(False, "1"), (True, "0")])
def test_training_uses_onednn_unless_it_must_be_deterministic(monkeypatch, deterministic, expected):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    groups = ModelConfig(), OptimizerConfig(), DataConfig(), AugmentConfig()
    config = Config(*groups, DeviceConfig(deterministic=deterministic), RunConfig(workdir="w"))
    monkeypatch.setattr(training_command, "training_config", lambda: config)
    monkeypatch.setattr(training_command, "start_config", StartConfig)
    monkeypatch.setattr(training_command, "chooses_settings", lambda: False)
    seen = []

    def instead(config, dry_run):
        seen.append(os.environ.get("TF_ENABLE_ONEDNN_OPTS"))

    monkeypatch.setattr(pretrain, "pretrain", instead)
    training_command.train()
    assert seen == [expected]
