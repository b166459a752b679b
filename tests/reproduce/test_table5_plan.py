"""Table 5 never shows a run of other settings, and refuses mistakes before its first run."""

import sys
from pathlib import Path

import pytest
from absl import flags

from simsiam_tf.cli import reproduce as command
from simsiam_tf.cli.console import define_verbosity_flag
from simsiam_tf.cli.flags import define_reproduce_flags, training_config_of
from simsiam_tf.cli.transfer_flags import transfer_config_of
from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.reproduce import execution, runs, table5
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.given_flags import flags_of, shown_flags
from simsiam_tf.reproduce.table5_plan import plan_pretraining, plan_transfers
from simsiam_tf.training.workdir import record
from tests.reproduce.test_table5 import planner, pretend, settings


@pytest.fixture
def folder(tmp_path):
    """Returns a function that gives the folder of a transfer."""

    def folder(*given, extra=(), **others):
        row = "supervised" if others else "simsiam_base"
        config = settings("voc07", rows=(row,), transfer_flags=" ".join(["--data_dir=a", *given]), **others)
        made = runs.Planner("imagenet", extra, runs.Folders(tmp_path), training_config_of)
        trained = plan_pretraining(config, made, 0)
        return plan_transfers(config, tmp_path, trained, 0, transfer_config_of)[row][0].workdir.root

    return folder


def test_other_settings_or_weights_are_another_run_and_another_place_of_the_data_is_not(folder, tmp_path):
    """Else a finished run would be shown as one of other settings."""
    assert folder("--data_dir=b") == folder()
    for other in ("--steps=23000", "--eval_examples=8", "--metric=coco"):
        assert folder(other) != folder()
    assert folder(extra=("--sgd_momentum=0.8",)) != folder()
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()
    assert folder(supervised=str(tmp_path / "a.pth")) != folder(supervised=str(tmp_path / "b.pth"))


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        ("voc07", {}, "refuses its flags, to which --transfer_flags adds: --dataset=voc needs --data_dir"),
        ("made", {"transfer_flags": "--epochs=3"}, "Unknown command line flag 'epochs'"),
        ("made", {"transfer_flags": "--steps=601"}, "--steps must be a multiple of --log_every_steps"),
        (
            "made",
            {"transfer_flags": "--seed=3"},
            r"has its own --backbone, .* Received: --seed=3\.",
        ),
        ("made", {"transfer_flags": "--steps 300"}, r"each as --name=value or --name\. Received: 300\."),
        ("made", {"transfer_flags": "-steps=300"}, r"each as --name=value or --name\. Received: -steps=300\."),
        (
            "made",
            {"transfer_flags": "--data_dir='a b"},
            r"must close its quotation marks\. Received: --data",
        ),
        ("made", {"rows": (), "supervised": "/nowhere.pth"}, "--supervised must be a file of weights.*/nowhere.pth"),
    ],
)
def test_a_mistake_shows_before_the_first_run(size, options, message, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "call_or_stop", pytest.fail)
    config = settings(size, **options)
    with pytest.raises(UsageError, match=message):
        table5.run_table5(config, planner(tmp_path, size), tmp_path, 0, transfer_config_of)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probe": "cached"}, r"measures no linear probe; leave --probe out\. Received: cached\."),
        ({"reference_seeds": 3}, r"no reference rows; leave --reference_seeds out\. Received: 3\."),
        ({"rows": ("scratch",), "supervised": "w"}, r"--supervised goes with the row .* Received: --rows=scratch\."),
    ],
)
def test_what_would_be_left_unheard_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        ReproduceConfig(experiment="table5", size="made", **options)


def test_flags_are_split_as_a_shell_does():
    assert flags_of("--data_dir='a b' --nodownload") == ["--data_dir=a b", "--nodownload"]
    assert flags_of("") == []


def test_the_page_s_command_names_no_place_of_this_machine():
    given = "--data_dir=/home/me/coco --steps=91000 --index_dir=x"
    rows = ("scratch", "supervised")
    config = settings("coco", rows=rows, seeds=3, supervised="/home/me/r50.pth", transfer_flags=given)
    shown = shown_flags(config, 5, ["--data_dir=/home/me/imagenet", "--precision=bfloat16", "--verbosity=quiet"])
    own = ["--experiment=table5", "--size=coco", "--seeds=3", "--seed=5", "--rows=scratch,supervised"]
    assert shown == [*own, "--supervised=r50.pth", "--transfer_flags=--steps=91000", "--precision=bfloat16"]
    assert shown_flags(settings(rows=()), 0, []) == ["--experiment=table5", "--size=made"]


def test_a_row_says_how_many_of_its_runs_diverged_and_what_was_not_measured(tmp_path):
    config = settings(rows=("scratch",), seeds=2)
    transfers = plan_transfers(config, tmp_path, {}, 0, transfer_config_of)
    first, second = transfers["scratch"]
    pretend(first, box_ap50=40.0, box_ap=None, box_ap75=18.0)
    second.workdir.root.mkdir(parents=True)
    text = table5.write_page(config, tmp_path, transfers, []).with_suffix(".md").read_text()
    assert "| scratch, 1 of 2 runs diverged | 40.0 | diverged | 18.0 |" in text
    transfers["scratch"].pop()
    text = table5.write_page(config, tmp_path, transfers, []).with_suffix(".md").read_text()
    assert "| scratch | 40.0 | - | 18.0 |" in text


def test_the_command_passes_each_flag_to_the_runs_that_it_is_of(tmp_path, monkeypatch):
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    given = ["--experiment=table5", "--size=made", "--rows=scratch,byol", "--seed=4", "--verbosity=quiet"]
    given += ["--transfer_flags=--steps=700 --data_dir=d", "--precision=bfloat16", f"--workdir={tmp_path}"]
    define_reproduce_flags()
    define_verbosity_flag()
    flags.FLAGS(["reproduce", *given])
    monkeypatch.setattr(sys, "argv", ["reproduce", *given])
    called = []

    def call(line):
        called.append(line)
        if line[2] == "simsiam_tf.cli.train":
            place = next(part for part in line if part.startswith("--workdir=")).partition("=")[2]
            Path(place).mkdir(parents=True)
            write_json(Path(place) / "summary.json", {"loss": record(-0.5), "wall_seconds": record(60.0)})
        return 0

    monkeypatch.setattr(execution, "call_or_stop", call)
    monkeypatch.setattr(table5, "write_page", lambda config, root, transfers, shown: called.append(shown) or root)
    command.reproduce()
    _, scratch, byol, shown = called
    assert "--backbone=none" in scratch
    for line in (scratch, byol):
        assert {"--verbosity=quiet", "--steps=700", "--data_dir=d", "--seed=4"} <= set(line)
        assert transfer_config_of(line[3:]).devices.precision == "float32"
    backbone = next(part for part in byol if part.startswith("--backbone=")).partition("=")[2]
    (path,) = (tmp_path / "runs").iterdir()
    assert backbone == str(path)
    own = ["--experiment=table5", "--size=made", "--seed=4", "--rows=scratch,byol", "--transfer_flags=--steps=700"]
    assert shown == [*own, "--precision=bfloat16"]


def test_the_flags_of_transfer_leave_those_of_the_command_as_they_are():
    before = training_config_of(["--seed=7", "--workdir=w"])
    of_transfer = transfer_config_of(["--backbone=none", "--workdir=w", "--seed=3", "--arch=resnet18"])
    assert (of_transfer.run.seed, of_transfer.backbone.arch, of_transfer.recipe) == (3, "resnet18", "custom")
    assert training_config_of(["--seed=7", "--workdir=w"]) == before
    assert transfer_config_of(["--backbone=none", "--workdir=w"]).run.seed == 0
    with pytest.raises(UsageError, match=r"Arguments must be flags, as --name=value\. Received: made\."):
        transfer_config_of(["--backbone=none", "--workdir=w", "made"])
