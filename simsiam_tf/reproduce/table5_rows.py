"""Lists the rows of Table 5: the pre-training of each, and the paper's numbers."""

from typing import NamedTuple

from simsiam_tf.reproduce.experiments import EXPERIMENTS, Row

# The sizes of Table 5: the stems of flagfiles in flags/recipes/transfer. `made` is ours alone.
TRANSFER_SIZES = ("made", "voc07", "voc0712", "coco")

Numbers = tuple[float, float, float]


class TransferRow(NamedTuple):
    """Holds one row of Table 5.

    Attributes:
        label: the name of the row on the page.
        pretraining: the row of the pre-training; `None` for random weights, or weights of others.
        boxes: AP50, AP and AP75 of boxes in the paper, percent, by size.
        masks: the same of masks on COCO.
    """

    label: str
    pretraining: Row | None
    boxes: dict[str, Numbers]
    masks: Numbers


def _numbers(voc07: Numbers, voc0712: Numbers, coco: Numbers) -> dict[str, Numbers]:
    return {"voc07": voc07, "voc0712": voc0712, "coco": coco}


def _of_table4(method: str) -> Row:
    """Returns the pre-training of another method for 200 epochs, as in Table 4."""
    (row,) = (row for row in EXPERIMENTS["table4"].rows if row.recipe == f"table4_{method}_epochs_200")
    return row


def _of_simsiam(name: str) -> Row:
    return Row(f"table5_{name}", f"SimSiam, {name}", "reference", None)


ROWS: dict[str, TransferRow] = {
    "scratch": TransferRow(
        "scratch", None, _numbers((35.9, 16.8, 13.0), (60.2, 33.8, 33.1), (44.0, 26.4, 27.8)), (46.9, 29.3, 30.8)
    ),
    "supervised": TransferRow(
        "ImageNet supervised",
        None,
        _numbers((74.4, 42.4, 42.7), (81.3, 53.5, 58.8), (58.2, 38.2, 41.2)),
        (54.7, 33.3, 35.2),
    ),
    "simclr": TransferRow(
        "SimCLR",
        _of_table4("simclr"),
        _numbers((75.9, 46.8, 50.1), (81.8, 55.5, 61.4), (57.7, 37.9, 40.9)),
        (54.6, 33.3, 35.3),
    ),
    "mocov2": TransferRow(
        "MoCo v2",
        _of_table4("mocov2"),
        _numbers((77.1, 48.5, 52.5), (82.3, 57.0, 63.3), (58.8, 39.2, 42.5)),
        (55.5, 34.3, 36.6),
    ),
    "byol": TransferRow(
        "BYOL",
        _of_table4("byol"),
        _numbers((77.1, 47.0, 49.9), (81.4, 55.3, 61.1), (57.8, 37.9, 40.9)),
        (54.3, 33.2, 35.0),
    ),
    "swav": TransferRow(
        "SwAV",
        _of_table4("swav"),
        _numbers((75.5, 46.5, 49.6), (81.5, 55.4, 61.4), (57.6, 37.6, 40.3)),
        (54.2, 33.1, 35.1),
    ),
    "simsiam_base": TransferRow(
        "SimSiam, base",
        _of_simsiam("base"),
        _numbers((75.5, 47.0, 50.2), (82.0, 56.4, 62.8), (57.5, 37.9, 40.9)),
        (54.2, 33.2, 35.2),
    ),
    "simsiam_optimal": TransferRow(
        "SimSiam, optimal",
        _of_simsiam("optimal"),
        _numbers((77.3, 48.5, 52.5), (82.4, 57.0, 63.7), (59.3, 39.2, 42.1)),
        (56.0, 34.4, 36.7),
    ),
}
