"""The page of Table 5, from pretended runs."""

import json

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.reproduce import table5, table5_page
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.table5_rows import ROWS, rows_of
from simsiam_tf.training.workdir import record
from tests.reproduce.conftest import OF_COCO, pretend_transfer
from tests.reproduce.test_runs import pretend


def write(plan, tmp_path, size="made", names=(), flags=(), supervised=""):
    text = table5_page.write(tmp_path, size, rows_of(size, names, supervised), plan, flags)
    return text, json.loads((tmp_path / "table5.json").read_text(), parse_constant=pytest.fail)


def test_the_page_has_the_mean_over_seeds_beside_the_paper_s_numbers(plan_transfers, tmp_path):
    names = ["scratch", "simsiam_base"]
    made = plan_transfers("coco", names=names, seeds=(0, 1), flags=OF_COCO)
    for number, name in enumerate(names):
        for seed, run in enumerate(made[name]):
            pretend_transfer(run, ap=20.0 + 10 * number + seed)
    for run in made["simsiam_base"]:
        pretend(run.pretraining)
    text, content = write(made, tmp_path, "coco", names, ["--size=coco", "--seeds=2"])
    assert "`python -m simsiam_tf.reproduce --experiment=table5 --size=coco --seeds=2`" in text
    assert (
        "| SimSiam, base | 57.5 / 37.9 / 40.9 | 50.5 +- 0.7 / 30.5 +- 0.7 / 31.5 +- 0.7 | 54.2 / 33.2 / 35.2 | "
        "45.5 +- 0.7 / 25.5 +- 0.7 / 26.5 +- 0.7 | 2 seeds |"
    ) in text
    assert "| pre-training | paper: boxes, AP50 / AP / AP75, % | ours: boxes" in text
    assert "1.0 hours of pre-training and 4.0 hours of fine-tuning, commit ccccccc, eeeeeee." in text
    assert "pycocotools, 500 images of made/test" in text
    assert [row["ours"]["box_ap"]["values"] for row in content["rows"]] == [[20.0, 21.0], [30.0, 31.0]]
    assert content["rows"][0]["paper"]["mask_ap50"] == 46.9
    assert (tmp_path / "table5.png").stat().st_size > 10_000


def test_the_page_says_what_was_not_run_and_what_diverged(plan_transfers, tmp_path):
    names = ["scratch", "supervised", "byol", "swav"]
    made = plan_transfers("voc07", names=[], flags=OF_COCO)
    made = {name: made[name] for name in names}
    pretend_transfer(made["scratch"][0], masks=False)
    made["byol"][0].pretraining.workdir.root.mkdir(parents=True)
    write_json(made["byol"][0].pretraining.diverged_path, {})
    pretend(made["swav"][0].pretraining)
    made["swav"][0].workdir.root.mkdir(parents=True)
    write_json(made["swav"][0].diverged_path, {})
    rows = [row for row in ROWS if row.name in names]
    text = table5_page.write(tmp_path, "voc07", rows, made, [])
    assert "| scratch | 35.9 / 16.8 / 13.0 | 40.0 / 20.0 / 21.0 | 1 seed |" in text
    assert "| ImageNet supervised | 74.4 / 42.4 / 42.7 |  | not run: give --supervised |" in text
    assert "| BYOL | 77.1 / 47.0 / 49.9 |  | 1 diverged in pre-training |" in text
    assert "| SwAV | 75.5 / 46.5 / 49.6 |  | 1 diverged |" in text
    assert "masks" not in text


def test_without_masks_a_row_has_its_boxes_and_without_the_paper_s_numbers_ours_alone(plan_transfers, tmp_path):
    made = plan_transfers(names=["scratch"])
    pretend_transfer(made["scratch"][0], masks=False)
    text, content = write(made, tmp_path, names=["scratch"])
    assert "| pre-training | ours: boxes, AP50 / AP / AP75, % | runs |" in text
    assert "| scratch | 40.0 / 20.0 / 21.0 | 1 seed |" in text
    assert list(content["rows"][0]["ours"]) == ["box_ap50", "box_ap", "box_ap75"]


def test_a_run_without_a_score_is_refused_in_one_sentence(plan_transfers, tmp_path):
    made = plan_transfers(names=["scratch"])
    pretend_transfer(made["scratch"][0])
    made["scratch"][0].workdir.add_to_summary({"box_ap": record(None)})
    with pytest.raises(UsageError, match=r"compared by box_ap, which needs objects\. Received: "):
        write(made, tmp_path, names=["scratch"])


def test_runs_that_were_measured_otherwise_are_not_put_beside_each_other(plan_transfers, tmp_path):
    made = plan_transfers(names=["scratch"], seeds=(0, 1))
    for run in made["scratch"]:
        pretend_transfer(run)
    records = made["scratch"][1].workdir.summary()
    made["scratch"][1].workdir.add_to_summary({"box_ap": {**records["box_ap"], "test_size": 8}})
    with pytest.raises(UsageError, match=r"must be measured on the same images .* Received: .*'test_size': 8.*500"):
        write(made, tmp_path, names=["scratch"])


def test_the_page_s_command_names_no_place_of_this_machine():
    given = "--data_dir=/home/me/coco --steps=300 --index_dir=x"
    config = ReproduceConfig(
        "table5", "coco", seeds=3, rows=("scratch", "supervised"), supervised="/home/me/r50.pth", transfer_flags=given
    )
    extra = ["--data_dir=/home/me/imagenet", "--precision=bfloat16", "--verbosity=quiet"]
    shown = table5.flags_to_show(config, 5, extra, table5.flags_of(given))
    own = ["--size=coco", "--seeds=3", "--seed=5", "--rows=scratch,supervised", "--supervised=r50.pth"]
    assert shown == [*own, "--transfer_flags=--steps=300", "--precision=bfloat16"]
    assert table5.flags_to_show(ReproduceConfig("table5", "made"), 0, [], []) == ["--size=made"]
