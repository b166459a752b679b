"""The files of a run that are damaged or of the wrong kind: one sentence, and nothing is lost."""

import dataclasses
import errno
import json
import os
import pathlib

import pytest

from simsiam_tf.config.run import RunConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.files import read_regular, write_json
from simsiam_tf.training.data_record import as_started
from simsiam_tf.training.workdir import Workdir, record
from tests.config.test_run import make_config

LINE = {"epoch": 1, "step": 4, "loss": -0.5, "wall_seconds": 2.0}
NO_JSON = [
    b"",
    b"[]",
    b"5",
    b"null",
    b'{"loss": 1}',
    b'{"loss": {}}',
    b"\xff\xfe{",
    b"[" * 100_000,
    b'{"knn_top1": {"value": NaN}}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"a": {"value": 1, "seconds": 1' + b"0" * 400 + b"}}",
    b'{"a": "\xe9"}',
]


def in_folder(path):
    return dataclasses.replace(make_config(), run=RunConfig(workdir=str(path)))


@pytest.fixture
def config(tmp_path):
    return in_folder(tmp_path / "run")


def started(config):
    """The folder of a run that has a checkpoint."""
    workdir = Workdir.open_for_training(config)
    workdir.checkpoints.mkdir()
    (workdir.checkpoints / "step-4.index").touch()
    return workdir


@pytest.mark.parametrize("content", NO_JSON, ids=lambda content: repr(content[:9]))
def test_a_damaged_summary_is_refused_at_the_start_and_kept(config, content):
    workdir = started(config)
    workdir.summary_path.write_bytes(content)
    with pytest.raises(UsageError, match=r"^summary\.json must be one that train\.py wrote; move it away"):
        Workdir.open_for_training(config)
    with pytest.raises(UsageError, match=r"summary\.json"):
        workdir.add_to_summary({"knn_top1": record(1.0)})
    assert workdir.summary_path.read_bytes() == content


@pytest.mark.parametrize("content", [*NO_JSON, b'{"config": []}', b'{"format": "2"}', b'{"config": {"model": 5}}'])
def test_a_damaged_config_is_refused(config, content):
    workdir = started(config)
    workdir.config_path.write_bytes(content)
    with pytest.raises(UsageError, match=r"config\.json must be one that train\.py wrote"):
        Workdir.open_for_training(config)


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [("data", "image_size", "32"), ("model", "width", [1]), ("run", "seed", None), ("devices", "tpu", 5)],
)
def test_a_value_of_another_type_in_config_json_is_refused(config, group, name, value):
    workdir = started(config)
    content = json.loads(workdir.config_path.read_text())
    content["config"][group][name] = value
    write_json(workdir.config_path, content)
    with pytest.raises(UsageError, match=rf"--{name} must be |config\.json must be one that train\.py wrote"):
        workdir.config()


@pytest.mark.parametrize(
    "bad",
    [b"[]", b"5", b"\xff\xfe", b"{}", b'{"epoch": 2, "loss": 1.0}', b'{"epoch": 1, "step": "x", "wall_seconds": 1}'],
)
def test_lines_that_are_none_are_set_aside_with_their_file(config, bad, console, capsys):
    workdir = Workdir.open_for_training(config)
    good = json.dumps(LINE).encode() + b"\n"
    content = good + bad + b"\n" + good
    workdir.metrics_path.write_bytes(content)
    assert [line for line in workdir.metrics() if line["epoch"] == 1] == [LINE, LINE]
    workdir.keep_metrics_up_to(4)
    assert workdir.metrics_path.read_bytes() == good + good
    assert (workdir.root / "metrics.jsonl.damaged").read_bytes() == content
    assert "it is now called metrics.jsonl.damaged" in capsys.readouterr().err


def test_a_line_that_a_kill_cut_short_is_dropped_without_a_word(config, console, capsys):
    workdir = Workdir.open_for_training(config)
    workdir.metrics_path.write_bytes(json.dumps(LINE).encode() + b'\n{"epoch": 2, "st')
    workdir.keep_metrics_up_to(9)
    assert workdir.metrics() == [LINE]
    assert capsys.readouterr().err == ""
    assert not list(workdir.root.glob("*.damaged*"))


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "summary.json", "skipped.txt", ".lock"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_stands_in_place_of_a_file_is_said_at_the_start(config, name, kind):
    root = config.run.workdir
    os.mkdir(root)
    os.mkdir(f"{root}/{name}") if kind == "folder" else os.mkfifo(f"{root}/{name}")
    with pytest.raises(UsageError, match=rf"{name} in --workdir must be a file; move what is there away"):
        Workdir.open_for_training(config)


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard"])
def test_a_file_in_place_of_a_folder_is_said_at_the_start(config, name):
    os.mkdir(config.run.workdir)
    open(f"{config.run.workdir}/{name}", "w").close()
    with pytest.raises(UsageError, match=rf"{name} in --workdir must be a folder"):
        Workdir.open_for_training(config)


@pytest.mark.parametrize("name", ["n" * 5000, "a\0b", "lone \ud800 surrogate"])
def test_a_name_that_no_folder_can_have_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"Received: "):
        Workdir.open_existing(str(tmp_path / name))
    with pytest.raises(UsageError, match=r"Received: "):
        Workdir.open_for_training(in_folder(tmp_path / name))


def test_a_folder_whose_name_is_not_utf8_holds_a_run(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9")
    Workdir.open_for_training(in_folder(path))
    assert Workdir.open_existing(str(path)).config().run.workdir == str(path)


def test_a_full_disk_is_said_at_the_start_and_leaves_nothing(config, monkeypatch):
    def full(path, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*run'") as failed:
        Workdir.open_for_training(config)
    assert failed.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert os.listdir(config.run.workdir) == []
    Workdir.open_for_training(config)


@pytest.mark.parametrize("name", ["config.json", "summary.json", "metrics.jsonl", "holdout.json"])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_never_waited_for(config, name):
    workdir = started(config)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        path = workdir.root / name
        path.unlink(missing_ok=True)
        make(path)
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path)
        as_started(config)
        with pytest.raises(UsageError, match="must be"):
            Workdir.open_for_training(config)


@pytest.mark.parametrize("part", [{"resolved": [1]}, {"resolved": {"steps_per_epoch": "4"}}, {"data": 5}, [], 5])
@pytest.mark.parametrize("whole", [False, True])
def test_what_config_json_says_beside_the_settings_is_checked(config, part, whole):
    workdir = started(config)
    content = json.loads(workdir.config_path.read_text())
    write_json(workdir.config_path, part if whole or not isinstance(part, dict) else {**content, **part})
    with pytest.raises(UsageError, match=r"config\.json must be one that train\.py wrote"):
        workdir.data(), workdir.resolved()


def test_a_count_of_images_must_be_a_positive_number(config):
    workdir = started(config)
    content = json.loads(workdir.config_path.read_text())
    for value in (0, -1, True, 1.0, "64", None):
        write_json(workdir.config_path, {**content, "data": {"images": value}})
        with pytest.raises(UsageError, match="its 'data' is damaged"):
            workdir.data()


@pytest.mark.parametrize(
    "wrong", [{"protocol": 1.5}, {"of": []}, {"unit": {}}, {"seconds": "5"}, {"value": float("nan")}]
)
def test_a_record_with_a_value_of_another_type_is_refused(config, wrong):
    workdir = started(config)
    right = {"value": 1.0, "protocol": "kNN", "unit": None, "seconds": 2}
    workdir.summary_path.write_text(json.dumps({"knn_top1": right}))
    assert workdir.summary() == {"knn_top1": right}
    workdir.summary_path.write_text(json.dumps({"knn_top1": {**right, **wrong}}))
    with pytest.raises(UsageError, match=r"^summary\.json must be one that train\.py wrote"):
        workdir.summary()
