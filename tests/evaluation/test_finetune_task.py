"""The files of a fine-tuning that are damaged."""

import json

import numpy as np
import pytest

from simsiam_tf.config.evaluation import FinetuneConfig
from simsiam_tf.evaluation import finetune


@pytest.fixture
def task(run):
    return finetune.prepare(run, FinetuneConfig())


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'"long"', b"NaN", b"-5", b"\xff", b"1e999", b"true"])
def test_damaged_seconds_are_said_and_counted_from_0(task, console, capsys, content):
    path = task.directory / "seconds.json"
    path.write_bytes(content)
    with task.counting_seconds():
        pass
    assert "seconds.json is damaged; the seconds of fine-tuning are counted from 0" in capsys.readouterr().err
    assert 0 <= json.loads(path.read_text()) < 10


def test_folders_in_place_of_files_are_set_aside_and_the_other_way_round(run, task):
    (task.directory / "labelled.txt").unlink()
    (task.directory / "labelled.txt").mkdir()
    (task.directory / "seconds.json").mkdir()
    (task.directory / "checkpoints").write_text("mine")
    again = finetune.prepare(run, FinetuneConfig())
    with again.counting_seconds():
        pass
    assert np.array_equal(again.rows, task.rows)
    assert again.labelled_path.read_text().count("\n") == 64
    assert (task.directory / "checkpoints.damaged").read_text() == "mine"
    assert {path.name for path in task.directory.iterdir() if path.is_dir()} == {
        "labelled.txt.damaged",
        "seconds.json.damaged",
    }
