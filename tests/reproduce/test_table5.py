import json

import pytest

from simsiam_tf.cli import flags as definitions
from simsiam_tf.cli.transfer_flags import transfer_config_of
from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.reproduce import execution, runs, table5, table5_plan, table5_rows
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.training.workdir import record

ROWS = ("scratch", "simsiam_base")


def settings(size="made", rows=ROWS, **others):
    return ReproduceConfig(experiment="table5", size=size, rows=rows, **others)


def planner(root, size="made"):
    size = size if size == "made" else "imagenet"
    return runs.Planner(size, [], runs.Folders(root), definitions.training_config_of)


def pretend(run, **scores):
    """Leaves what a finished run of transfer.py leaves."""
    run.workdir.root.mkdir(parents=True)
    write_json(run.workdir.config_path, {"git_commit": "c" * 40})
    run.workdir.append_metrics({"epoch": 1, "step": 50, "loss": 2.0})
    run.workdir.append_metrics({"epoch": 2, "step": 100, "loss": 1.0, **scores})
    values = {**scores, "loss": 1.0, "wall_seconds": 1800}
    run.workdir.add_to_summary({name: record(value) for name, value in values.items()})


def test_each_row_has_its_pre_training_and_its_seeds(tmp_path):
    config = settings(seeds=2)
    pretraining = table5_plan.plan_pretraining(config, planner(tmp_path), seed=3)
    assert list(pretraining) == ["simsiam_base"]
    settings_of_run = pretraining["simsiam_base"].config
    assert (settings_of_run.data.dataset, settings_of_run.run.epochs, settings_of_run.run.seed) == ("made", 60, 3)
    transfers = table5_plan.plan_transfers(config, tmp_path, pretraining, seed=3, config_of=transfer_config_of)
    assert [len(of_row) for of_row in transfers.values()] == [2, 2]
    scratch, simsiam = transfers["scratch"][0], transfers["simsiam_base"][1]
    assert "--backbone=none" in scratch.command
    assert f"--backbone={pretraining['simsiam_base'].workdir.root}" in simsiam.command
    assert [part for part in simsiam.command if part.startswith("--seed")] == ["--seed=4"]
    assert simsiam.command[1:3] == ["-m", "simsiam_tf.cli.transfer"]


def test_flags_of_the_transfer_are_passed_on_and_have_folders_of_their_own(tmp_path):
    config = settings("coco", rows=("scratch",), transfer_flags="--data_dir=/data/coco --steps=91000")
    (run,) = table5_plan.plan_transfers(config, tmp_path, {}, 0, config_of=transfer_config_of)["scratch"]
    assert {"--data_dir=/data/coco", "--steps=91000"} <= set(run.command)
    plain = settings("coco", rows=("scratch",), transfer_flags="--data_dir=elsewhere")
    (plain,) = table5_plan.plan_transfers(plain, tmp_path, {}, 0, config_of=transfer_config_of)["scratch"]
    assert run.workdir.root != plain.workdir.root


def test_other_methods_are_pre_trained_as_in_table_4(tmp_path):
    found = table5_plan.plan_pretraining(settings("voc07", rows=("byol", "swav")), planner(tmp_path, "voc07"), 0)
    assert {run.config.model.method for run in found.values()} == {"byol", "swav"}
    assert all(run.config.run.epochs == 200 and run.config.optimizer.optimizer == "lars" for run in found.values())


def test_finished_runs_are_skipped_and_a_divergence_is_marked(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(execution, "call_or_stop", lambda command: called.append(command) or 3)
    config = settings(rows=("scratch",), seeds=2)
    first, second = table5_plan.plan_transfers(config, tmp_path, {}, 0, config_of=transfer_config_of)["scratch"]
    pretend(first, box_ap50=40.0, box_ap=20.0, box_ap75=18.0)
    second.workdir.root.mkdir(parents=True)
    table5.run_table5(config, planner(tmp_path), tmp_path, 0, transfer_config_of)
    assert called == [second.command]
    table5.run_table5(config, planner(tmp_path), tmp_path, 0, transfer_config_of)
    assert len(called) == 1


def test_the_page_has_means_spreads_and_the_paper_s_numbers(tmp_path):
    weights = tmp_path / "resnet50.pth"
    weights.touch()
    given = {"supervised": str(weights), "transfer_flags": "--data_dir=coco"}
    config = settings("coco", rows=("scratch", "supervised"), seeds=2, **given)
    transfers = table5_plan.plan_transfers(config, tmp_path, {}, 0, config_of=transfer_config_of)
    assert f"--backbone={weights}" in transfers["supervised"][0].command
    for number, run in enumerate(transfers["scratch"]):
        names = ("box_ap50", "box_ap", "box_ap75", "mask_ap50", "mask_ap", "mask_ap75")
        pretend(run, **dict.fromkeys(names, 40.0 + 2 * number))
    place = table5.write_page(config, tmp_path, transfers, ["--experiment=table5"])
    text = place.with_suffix(".md").read_text()
    assert "| scratch | 41.0 +- 1.4 (44) | 41.0 +- 1.4 (26.4) | 41.0 +- 1.4 (27.8) | 41.0 +- 1.4 (46.9)" in text
    assert "| ImageNet supervised, 2 of 2 runs diverged | diverged (58.2)" in text
    assert json.loads(place.with_suffix(".json").read_text())["rows"]["scratch"]["ours"]["box_ap"]["values"] == [40, 42]
    assert place.with_suffix(".png").exists()


def test_a_finished_scratch_of_made_has_no_number_of_the_paper(tmp_path):
    config = settings(rows=("scratch",))
    transfers = table5_plan.plan_transfers(config, tmp_path, {}, 0, config_of=transfer_config_of)
    pretend(transfers["scratch"][0], box_ap50=40.0, box_ap=20.0, box_ap75=18.0)
    text = table5.write_page(config, tmp_path, transfers, []).with_suffix(".md").read_text()
    assert "| scratch | 40.0 | 20.0 | 18.0 |" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": "shapes"}, "--experiment=table5 needs --size=made, voc07, voc0712, coco"),
        ({"experiment": "fig2", "size": "voc07"}, "--experiment=fig2 needs --size=imagenet"),
        ({"experiment": "fig2", "size": "shapes", "supervised": "a.h5"}, "--supervised needs --experiment=table5"),
        ({"size": "made", "rows": ("scrach",)}, "--rows must name rows of scratch"),
        ({"size": "made", "rows": ("supervised",)}, "The row 'supervised' needs --supervised"),
    ],
)
def test_what_does_not_go_together_is_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        ReproduceConfig(**{"experiment": "table5", **options})


def test_by_default_all_rows_but_the_supervised_one():
    assert list(table5_plan.planned_rows(settings(rows=()))) == [
        name for name in table5_rows.ROWS if name != "supervised"
    ]
    assert "supervised" in table5_plan.planned_rows(settings(rows=(), supervised="w.pth"))
