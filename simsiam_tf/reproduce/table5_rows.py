"""Lists the rows of Table 5: for each kind of pre-training its recipe, and the paper's average precision."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from simsiam_tf.errors import check
from simsiam_tf.reproduce.experiments import EXPERIMENTS, Row

NAME = "table5"
SUPERVISED = "supervised"
# The scores of boxes and of masks, in the paper's order.
BOXES, MASKS = (tuple(f"{kind}_{score}" for score in ("ap50", "ap", "ap75")) for kind in ("box", "mask"))


class TransferSize(NamedTuple):
    """Holds what a size of Table 5 fine-tunes on, and the size of its pre-training.

    Attributes:
        title: the name of the data set on the page.
        pretraining: the stem of the flagfile in flags/recipes/size with which the runs of train.py are made.
        scores: the names of the records of summary.json that the paper gives, in its order; those of the page too.
    """

    title: str
    pretraining: str
    scores: tuple[str, ...]


# By the stem of the flagfile in flags/recipes/transfer.
TRANSFER_SIZES = {
    "made": TransferSize("built-in images with objects", "made", BOXES + MASKS),
    "voc07": TransferSize("VOC 07", "imagenet", BOXES),
    "voc0712": TransferSize("VOC 07+12", "imagenet", BOXES),
    "coco": TransferSize("COCO", "imagenet", BOXES + MASKS),
}


class TransferRow(NamedTuple):
    """Holds one row of Table 5.

    Attributes:
        name: the name of the row in `--rows` and in the names of folders.
        label: the name of the row on the page.
        recipe: the stem of the pre-training's flagfile in flags/recipes/paper; empty for weights that are random or
            given.
        original: the stem of a flagfile in flags/recipes/authors, which is added on ImageNet; empty for none.
        voc07: the paper's AP50, AP and AP75 of boxes, percent, for VOC 07.
        voc0712: the same for VOC 07+12.
        coco: the same for COCO, and then those of masks.
    """

    name: str
    label: str
    recipe: str
    original: str
    voc07: tuple[float, ...]
    voc0712: tuple[float, ...]
    coco: tuple[float, ...]

    @property
    def pretraining(self) -> Row | None:
        """Returns the pre-training as a row for the planner of runs; `None` if there is nothing to train."""
        return Row(self.recipe, self.label, "", None, self.original) if self.recipe else None

    def paper(self, size: str) -> dict[str, float]:
        """Returns the paper's scores, percent, by the names of our records; the size `made` has none.

        Args:
            size: a key of `TRANSFER_SIZES`.
        """
        numbers = {"voc07": self.voc07, "voc0712": self.voc0712, "coco": self.coco}.get(size, ())
        return dict(zip(TRANSFER_SIZES[size].scores, numbers, strict=True)) if numbers else {}


def _of_table4(method: str) -> tuple[str, str]:
    """Returns the recipe of a method at 200 epochs, and that of its authors."""
    (row,) = (row for row in EXPERIMENTS["table4"].rows if row.recipe == f"table4_{method}_epochs_200")
    return row.recipe, row.original


ROWS = (
    TransferRow(
        *("scratch", "scratch", "", ""),
        voc07=(35.9, 16.8, 13.0),
        voc0712=(60.2, 33.8, 33.1),
        coco=(44.0, 26.4, 27.8, 46.9, 29.3, 30.8),
    ),
    TransferRow(
        *(SUPERVISED, "ImageNet supervised", "", ""),
        voc07=(74.4, 42.4, 42.7),
        voc0712=(81.3, 53.5, 58.8),
        coco=(58.2, 38.2, 41.2, 54.7, 33.3, 35.2),
    ),
    TransferRow(
        *("simclr", "SimCLR", *_of_table4("simclr")),
        voc07=(75.9, 46.8, 50.1),
        voc0712=(81.8, 55.5, 61.4),
        coco=(57.7, 37.9, 40.9, 54.6, 33.3, 35.3),
    ),
    TransferRow(
        *("mocov2", "MoCo v2", *_of_table4("mocov2")),
        voc07=(77.1, 48.5, 52.5),
        voc0712=(82.3, 57.0, 63.3),
        coco=(58.8, 39.2, 42.5, 55.5, 34.3, 36.6),
    ),
    TransferRow(
        *("byol", "BYOL", *_of_table4("byol")),
        voc07=(77.1, 47.0, 49.9),
        voc0712=(81.4, 55.3, 61.1),
        coco=(57.8, 37.9, 40.9, 54.3, 33.2, 35.0),
    ),
    TransferRow(
        *("swav", "SwAV", *_of_table4("swav")),
        voc07=(75.5, 46.5, 49.6),
        voc0712=(81.5, 55.4, 61.4),
        coco=(57.6, 37.6, 40.3, 54.2, 33.1, 35.1),
    ),
    TransferRow(
        *("simsiam_base", "SimSiam, base", "table5_base", ""),
        voc07=(75.5, 47.0, 50.2),
        voc0712=(82.0, 56.4, 62.8),
        coco=(57.5, 37.9, 40.9, 54.2, 33.2, 35.2),
    ),
    TransferRow(
        *("simsiam_optimal", "SimSiam, optimal", "table5_optimal", ""),
        voc07=(77.3, 48.5, 52.5),
        voc0712=(82.4, 57.0, 63.7),
        coco=(59.3, 39.2, 42.1, 56.0, 34.4, 36.7),
    ),
)


def rows_of(size: str, names: Sequence[str], supervised: str) -> list[TransferRow]:
    """Returns the rows of a page, in the paper's order.

    Args:
        size: a key of `TRANSFER_SIZES`.
        names: the names of the rows that the user wants; empty for all.
        supervised: the weights of the row `supervised`; empty if there are none.

    Raises:
        UsageError: if a row does not exist, or its weights are missing, or weights are given that no row takes.
    """
    known: Mapping[str, TransferRow] = {row.name: row for row in ROWS if size != "made" or row.name != SUPERVISED}
    for name in names:
        check(name in known, f"--rows of --size={size} are {', '.join(known)}.", name)
    wanted = [row for name, row in known.items() if not names or name in names]
    has_supervised = known.get(SUPERVISED) in wanted
    check(
        bool(supervised) or SUPERVISED not in names,
        f"The row {SUPERVISED} needs --supervised with the weights of a ResNet that was trained with labels.",
        "no --supervised",
    )
    check(
        has_supervised or not supervised,
        f"--supervised goes with the row {SUPERVISED}, which is not among the rows to run.",
        supervised,
    )
    return wanted
