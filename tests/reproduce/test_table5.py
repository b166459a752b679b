"""Table 5: its rows, and the plan of its runs."""

import pathlib

import pytest

from flags import definitions
from simsiam_tf.reproduce import runs, table5
from simsiam_tf.reproduce.experiments import EXPERIMENTS
from simsiam_tf.reproduce.table5_rows import ROWS, TRANSFER_SIZES
from simsiam_tf.training.transfer_workdir import TransferWorkdir
from tests.conftest import ROOT
from tests.reproduce.conftest import OF_COCO, pretend_transfer
from tests.reproduce.test_runs import pretend


def test_the_paper_s_numbers_are_those_of_its_table():
    """Each row's numbers add up as they do in the paper's table, so that one wrong digit shows."""
    table = {
        size: [sum(row.paper(size)[name] for row in ROWS) for name in TRANSFER_SIZES[size].scores]
        for size in ("voc07", "voc0712", "coco")
    }
    rounded = {size: [round(total, 1) for total in totals] for size, totals in table.items()}
    assert rounded == {
        "voc07": [568.7, 343.5, 360.5],
        "voc0712": [632.9, 423.9, 465.6],
        "coco": [450.9, 294.3, 316.6, 430.4, 264.1, 279.9],
    }
    assert ROWS[0].paper("coco")["mask_ap"] == 29.3
    assert ROWS[-1].paper("voc07") == {"box_ap50": 77.3, "box_ap": 48.5, "box_ap75": 52.5}
    assert ROWS[0].paper("made") == {}


def test_each_transfer_begins_with_its_own_pretraining(plan_transfers):
    made = plan_transfers(seeds=(0, 1))
    assert list(made) == ["scratch", "simclr", "mocov2", "byol", "swav", "simsiam_base", "simsiam_optimal"]
    for name, of_row in made.items():
        assert [run.config.run.seed for run in of_row] == [0, 1]
        for seed, run in enumerate(of_row):
            if name == "scratch":
                assert (run.pretraining, run.config.backbone.backbone) == (None, "none")
                continue
            assert run.config.backbone.backbone == str(run.pretraining.workdir.root)
            assert run.pretraining.config.run.seed == seed
            assert run.pretraining.config.data.dataset == "made"
    folders = [run.workdir.root for of_row in made.values() for run in of_row]
    assert len(set(folders)) == 14
    base, optimal = (made[f"simsiam_{name}"][0].pretraining.config.optimizer for name in ("base", "optimal"))
    assert (base.base_learning_rate, optimal.base_learning_rate) == (0.2, 2.0)


def test_the_command_stands_alone(plan_transfers):
    (run,) = plan_transfers(names=["simsiam_base"], flags=("--verbosity=quiet", "--steps=1200"))["simsiam_base"]
    script, *arguments = run.command[1:]
    assert pathlib.Path(script) == ROOT / "transfer.py"
    config = definitions.transfer_config_of(arguments)
    assert config.identity() == run.config.identity()
    assert (config.run.steps, config.run.workdir) == (1200, str(run.workdir.root))
    assert (config.recipe, config.data.dataset, config.backbone.arch) == ("made", "made", "resnet18")
    assert pathlib.Path(run.pretraining.command[1]) == ROOT / "train.py"


def test_the_paper_s_sizes_share_the_pretraining_on_imagenet(plan_transfers, tmp_path):
    folders = runs.Folders(tmp_path)
    voc, coco = (plan_transfers(size, flags=OF_COCO, folders=folders) for size in ("voc07", "coco"))
    assert voc["byol"][0].pretraining.workdir.root == coco["byol"][0].pretraining.workdir.root
    assert voc["byol"][0].workdir.root != coco["byol"][0].workdir.root
    settings = {
        name: of_row[0].pretraining.config for name, of_row in voc.items() if name not in ("scratch", "supervised")
    }
    assert {config.run.epochs for config in settings.values()} == {200}
    assert settings["swav"].optimizer.optimizer == "lars"  # of its authors
    assert settings["simsiam_optimal"].optimizer.weight_decay == 1e-5
    planner = runs.Planner("imagenet", (), folders, definitions.training_config_of)
    table4 = planner.plan(EXPERIMENTS["table4"].rows, lambda _: [0])
    assert table4["table4_epochs_200"][0].workdir.root == voc["simsiam_base"][0].pretraining.workdir.root
    assert table4["table4_mocov2_epochs_200"][0].workdir.root == voc["mocov2"][0].pretraining.workdir.root


def test_other_settings_or_weights_are_another_run_and_another_place_of_the_data_is_not(plan_transfers, tmp_path):
    def folder(*flags, extra=(), supervised=""):
        name = "supervised" if supervised else "simsiam_base"
        made = plan_transfers("voc07", names=[name], flags=("--data_dir=a", *flags), extra=extra, supervised=supervised)
        return made[name][0].workdir.root

    assert folder("--data_dir=b") == folder()
    for other in ("--steps=23000", "--eval_examples=8", "--metric=coco"):
        assert folder(other) != folder()
    assert folder(extra=("--sgd_momentum=0.8",)) != folder()
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()
    assert folder(supervised=str(tmp_path / "a.pth")) != folder(supervised=str(tmp_path / "b.pth"))


def test_what_is_done_is_skipped_and_each_transfer_comes_after_its_pretraining(plan_transfers, monkeypatch):
    made = plan_transfers(names=["scratch", "simsiam_base", "simsiam_optimal"])
    scratch, base, optimal = (made[name][0] for name in ("scratch", "simsiam_base", "simsiam_optimal"))
    pretend_transfer(scratch)
    pretend(base.pretraining)
    base.workdir.root.mkdir(parents=True)  # interrupted
    called = []

    def call(command):
        called.append(command)
        (optimal.pretraining.workdir.root).mkdir(parents=True, exist_ok=True)
        return 3 if command == optimal.pretraining.command else 0

    monkeypatch.setattr(runs, "_call", call)
    runs.carry_out(table5.in_order(made), "none")
    assert called == [base.command, optimal.pretraining.command]
    assert optimal.is_done  # there is nothing that it could begin with
    assert (optimal.lacks_backbone, optimal.has_diverged) == (True, False)


def test_a_transfer_that_diverges_is_not_tried_again(plan_transfers, monkeypatch):
    (run,) = plan_transfers(names=["scratch"])["scratch"]
    run.workdir.root.mkdir(parents=True)
    monkeypatch.setattr(runs, "_call", lambda command: 3)
    runs.carry_out([run], "none")
    monkeypatch.setattr(runs, "_call", pytest.fail)
    runs.carry_out([run], "none")
    assert (run.has_diverged, run.lacks_backbone) == (True, False)


def test_the_folder_of_a_transfer_is_read_as_such(plan_transfers):
    (run,) = plan_transfers(names=["scratch"])["scratch"]
    pretend_transfer(run)
    assert isinstance(run.workdir, TransferWorkdir)
    assert run.workdir.config() == run.config
