"""What is printed about runs of both kinds."""

import json

import pytest

from simsiam_tf.cli import show
from simsiam_tf.training.run_files import FOLDERS


@pytest.fixture
def printed(monkeypatch, capsys):
    """Prints about a folder, as the command does."""

    def run(folder):
        monkeypatch.setattr(show, "workdir_flag", lambda: str(folder))
        show.show()
        return capsys.readouterr().out

    return run


def test_texts_of_a_run_cannot_give_the_terminal_commands(printed, tmp_path):
    folder = made(tmp_path / "run")
    records = {"a\x1b[31m": {"value": "\x1b]0;title\x07"}, "b\nDone": {"value": "\u202e"}}
    (folder / "summary.json").write_text(json.dumps(records))
    shown = printed(folder)
    assert shown.replace("\n", "").isprintable()
    assert "a\\x1b[31m" in shown and "b\\nDone" in shown


def test_every_folder_of_a_run_is_named():
    assert set(show._CONTENTS) >= FOLDERS


def made(folder, **config):
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.jsonl").write_text("")
    records = {"box_ap": {"value": 12.3456, "unit": "percent"}, "mask_ap": {"value": None, "unit": "percent"}}
    (folder / "summary.json").write_text(json.dumps(records))
    return folder


def test_a_run_of_transfer_is_shown_in_its_own_words(printed, tmp_path):
    run = made(tmp_path / "run", command_of_run="transfer.py")
    (run / "detections.json").write_text("[]")
    text = printed(run)
    assert "  box_ap               12.35 %\n" in text
    assert "  mask_ap              -\n" in text
    assert f"  {run}/detections.json: what was found in each test image, in COCO's format for results\n" in text
    assert "metrics.jsonl: one line for every few steps" in text
    assert "report.html" not in text
    assert "epoch" not in text


def test_a_run_of_train_has_epochs(printed, tmp_path):
    text = printed(made(tmp_path / "run"))
    assert "metrics.jsonl: one line for each epoch\n" in text
    assert "checkpoints: weights and optimiser\n" in text
