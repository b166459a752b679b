"""Pretended runs of Table 5."""

import pytest

from flags import definitions
from simsiam_tf.files import write_json
from simsiam_tf.reproduce import runs, table5
from simsiam_tf.reproduce.table5_rows import TRANSFER_SIZES, rows_of
from simsiam_tf.training.workdir import record

OF_COCO = ("--data_dir=coco",)


@pytest.fixture
def plan_transfers(tmp_path):
    def plan_transfers(size="made", names=(), seeds=(0,), flags=(), **given):
        supervised = given.get("supervised", "")
        planner = runs.Planner(
            TRANSFER_SIZES[size].pretraining,
            given.get("extra", ()),
            given.get("folders") or runs.Folders(tmp_path),
            definitions.training_config_of,
            by_knn=False,
        )
        whole = table5.Table5(size, tmp_path, planner, supervised, flags, definitions.transfer_config_of)
        return whole.plan(rows_of(size, names, supervised), seeds)

    return plan_transfers


def pretend_transfer(run, ap=20.0, masks=True):
    """Leaves what a finished run of transfer.py leaves."""
    run.workdir.root.mkdir(parents=True)
    content = {"config": run.config.to_dict(), "git_commit": "e" * 40, "command_of_run": "transfer.py", "format": 1}
    write_json(run.workdir.config_path, content)
    about = {"protocol": "COCO's average precision, pycocotools", "test": "made/test", "test_size": 500}
    scores = {f"box_{name}": ap + more for name, more in (("ap", 0), ("ap50", 20), ("ap75", 1))}
    scores |= {name.replace("box", "mask"): value - 5 for name, value in scores.items()} if masks else {}
    records = {name: record(value, **about) for name, value in scores.items()}
    run.workdir.add_to_summary({**records, "loss": record(1.0), "wall_seconds": record(3600)})
