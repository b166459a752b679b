"""A detector is trained, killed, resumed, judged and shown, on sets in the layouts of COCO and VOC."""

import json

import pytest

from tests.conftest import run_script
from tests.e2e.objects_on_disk import write_coco, write_voc

TINY = (
    "--backbone=none",
    "--arch=resnet18",
    "--width=0.0625",
    "--short_sides=64,96",
    "--eval_short_side=64",
    "--long_side=128",
    "--anchor_sizes=16,32",
    "--proposals_before_nms=60,40",
    "--proposals_after_nms=30,20",
    "--anchors_per_image=32",
    "--rois_per_image=16",
    "--roi_size=6",
    "--mask_channels=8",
    "--global_batch_size=4",
    "--steps=6",
    "--log_every_steps=2",
    "--milestones=4",
    "--warmup_steps=2",
    "--precise_bn_batches=1",
    "--eval_batch_size=4",
    "--deterministic",
)


def transfer(*flags):
    done = run_script("transfer.py", *TINY, *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


def summary(workdir):
    return json.loads((workdir / "summary.json").read_text())


def lines(workdir):
    """What metrics.jsonl holds, but for the times."""
    held = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if not name.endswith(("second", "seconds", "fraction"))}
        for line in held
    ]


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp("sets") / "coco")


@pytest.mark.long
def test_a_killed_run_on_a_coco_set_ends_as_one_that_was_not(coco, tmp_path):
    flags = ["--dataset=coco", f"--data_dir={coco}", "--save_every_steps=1"]
    printed = transfer(*flags, f"--workdir={tmp_path / 'whole'}")
    assert "Evaluation on 4 images of coco/val2017: box AP" in printed
    assert printed.splitlines()[-1].startswith("Done: results in ")
    killed = run_script(
        "tests/e2e/killed.py", "SIGKILL", 3, "transfer.py", *TINY, *flags, f"--workdir={tmp_path / 'run'}"
    )
    assert killed.returncode == -9, killed.stderr
    assert "Continuing at step " in transfer(*flags, f"--workdir={tmp_path / 'run'}")
    whole, resumed = summary(tmp_path / "whole"), summary(tmp_path / "run")
    assert resumed["weights_sha256"] == whole["weights_sha256"]
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    assert [line["step"] for line in lines(tmp_path / "whole")] == [2, 4, 6]
    names = [f"{kind}_{name}" for kind in ("box", "mask") for name in ("ap", "ap50", "ap75")]
    assert all(whole[name]["unit"] == "percent" and 0 <= whole[name]["value"] <= 100 for name in names)
    assert "This run is finished" in transfer(*flags, f"--workdir={tmp_path / 'run'}")

    judged = run_script("evaluate.py", "--protocol=detection,report", f"--workdir={tmp_path / 'run'}")
    assert judged.returncode == 0, judged.stderr
    again = summary(tmp_path / "run")
    assert {name: again[name]["value"] for name in names} == {name: whole[name]["value"] for name in names}
    found = json.loads((tmp_path / "run" / "detections.json").read_text())
    assert {result["category_id"] for result in found} <= {3, 8, 13}
    assert {result["image_id"] for result in found} <= {1, 11, 21, 31}
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.long
def test_a_voc_set_goes_through_training_and_evaluation(tmp_path):
    root = write_voc(tmp_path / "voc")
    splits = ["--train_split=trainval", "--eval_split=test"]
    flags = ["--dataset=voc", f"--data_dir={root}", *splits, f"--workdir={tmp_path / 'run'}", "--cpu_devices=2"]
    transfer(*flags)
    results = summary(tmp_path / "run")
    assert "Pascal VOC" in results["box_ap"]["protocol"]
    assert "mask_ap" not in results
    judged = run_script("evaluate.py", "--protocol=detection,report,export", f"--workdir={tmp_path / 'run'}")
    assert judged.returncode == 0, judged.stderr
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "run" / "export" / "saved_model.pb").exists()
    assert summary(tmp_path / "run")["box_ap50"]["value"] == pytest.approx(results["box_ap50"]["value"], abs=0.1)
    other = run_script("transfer.py", *TINY, *flags, "--learning_rate=0.01")
    assert other.returncode == 2
    assert "--workdir holds a run with other settings (learning_rate: 0.02 in the folder, 0.01 now)" in other.stderr


@pytest.mark.long
def test_a_pretrained_run_gives_its_backbone(tiny_run, coco, tmp_path):
    """Whose network has the 3x3 stem, and another width than the flags say."""
    flags = ["--dataset=coco", f"--data_dir={coco}", f"--workdir={tmp_path / 'run'}"]
    printed = transfer(*flags, f"--backbone={tiny_run}", "--width=1")
    assert "Took the backbone alone from step-8 of the run in" in printed
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["config"]["backbone"]
    assert (kept["arch"], kept["width"], kept["stem"]) == ("resnet18", 0.0625, "cifar")
