import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.training.workdir import Workdir, record
from tests.config.test_run import make_config
from tests.conftest import ROOT


@pytest.fixture
def config(tmp_path):
    config = make_config()
    return dataclasses.replace(config, run=dataclasses.replace(config.run, workdir=str(tmp_path / "run")))


def with_seed(config, seed):
    return dataclasses.replace(config, run=dataclasses.replace(config.run, seed=seed))


def test_an_attempt_without_a_checkpoint_may_be_corrected(config):
    Workdir.open_for_training(config).append_metrics({"step": 0})
    workdir = Workdir.open_for_training(with_seed(config, 5))
    assert workdir.config().run.seed == 5
    assert workdir.metrics() == []


def test_a_folder_with_files_of_somebody_else_keeps_them(config):
    root = pathlib.Path(config.run.workdir)
    for name in ("tensorboard/notes.txt", "tensorboard/events.out.theirs", "skipped.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("theirs")
    Workdir.open_for_training(config)
    assert all((root / name).exists() for name in ("tensorboard/notes.txt", "tensorboard/events.out.theirs"))
    assert (root / "skipped.txt").read_text() == "theirs"


def test_somebody_else_s_metrics_are_not_mixed_with_ours(config):
    root = pathlib.Path(config.run.workdir)
    root.mkdir()
    (root / "metrics.jsonl").write_text("theirs")
    with pytest.raises(UsageError, match=r"has metrics.jsonl but no config.json"):
        Workdir.open_for_training(config)
    assert (root / "metrics.jsonl").read_text() == "theirs"


def test_checkpoints_of_another_configuration_are_not_touched(config):
    workdir = Workdir.open_for_training(config)
    workdir.checkpoints.mkdir()
    (workdir.checkpoints / "step-1.index").touch()
    with pytest.raises(UsageError, match=r"other settings .seed: 0 in the folder, 5 now."):
        Workdir.open_for_training(with_seed(config, 5))
    assert workdir.config().run.seed == 0
    workdir.config_path.unlink()
    with pytest.raises(UsageError, match=r"checkpoints but no config\.json"):
        Workdir.open_for_training(config)


HOLD = """
import sys, time
from simsiam_tf.training.workdir import Workdir
from tests.conftest import ROOT
from tests.config.test_run import make_config
import dataclasses
config = make_config()
Workdir.open_for_training(dataclasses.replace(config, run=dataclasses.replace(config.run, workdir=sys.argv[1])))
print("held", flush=True)
time.sleep(60)
"""


def test_a_workdir_is_one_process_s_until_that_ends_however_it_ends(config):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, config.run.workdir], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=rf"Another process is training in --workdir \(process {holder.pid} on "):
        Workdir.open_for_training(config)
    holder.kill()
    holder.wait()
    Workdir.open_for_training(config)


def test_records_are_added_one_beside_the_other(config):
    workdir = Workdir.open_for_training(config)
    workdir.add_to_summary({"loss": record(-0.5, epoch=1)})
    workdir.add_to_summary({"knn_top1": record(40.0, k=200)})
    assert workdir.is_finished()
    assert workdir.summary() == {"loss": {"value": -0.5, "epoch": 1}, "knn_top1": {"value": 40.0, "k": 200}}


def test_paths_hold_from_any_directory(config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    relative = dataclasses.replace(config, data=dataclasses.replace(config.data, data_dir="data"))
    assert Workdir.open_for_training(relative).config().data.data_dir == str(tmp_path / "data")


def test_a_foreign_config_is_said(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"config": {}}))
    with pytest.raises(UsageError, match=r"config\.json must be one that train\.py wrote"):
        Workdir.open_existing(str(tmp_path)).config()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_record_holds_a_number_that_is_none(tmp_path, value):
    write_json(tmp_path / "summary.json", {"loss": record(-0.5)})
    with pytest.raises(ValueError, match="not JSON compliant"):
        Workdir(tmp_path).add_to_summary({"knn_top1": record(value)})
    assert Workdir(tmp_path).summary() == {"loss": record(-0.5)}
