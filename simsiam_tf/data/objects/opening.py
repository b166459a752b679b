"""Opens the images with objects that the settings name."""

from typing import Literal

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.coco import open_coco
from simsiam_tf.data.objects.made import open_made
from simsiam_tf.data.objects.tfds_sets import open_tfds
from simsiam_tf.data.objects.voc import open_voc
from simsiam_tf.errors import check


def open_annotated(
    config: DetectionDataConfig, split: Literal["train", "eval"], count: int = 0, masks: bool = True
) -> AnnotatedImages:
    """Opens the images to train on, or those to evaluate on.

    Images without objects are among them; `AnnotatedImages.to_train` leaves them out. Evaluations number their classes
    as training does: `open_annotated(config, "eval").numbered_by(training.classes)`.

    Args:
        config: the settings of the data set.
        split: which of the two.
        count: the number of images, the first ones; 0: as many as the settings say.
        masks: whether the masks are wanted, if there are any.

    Raises:
        UsageError: if there is no such data set or split, it cannot be used, or too many annotations are broken.

    Example:
        annotated = open_annotated(DetectionDataConfig(dataset="made"), "train")
        annotated.objects[0].boxes
    """
    count = count or (config.max_examples if split == "train" else 0)
    if config.is_tfds:
        found = open_tfds(config, config.split(split))
    elif config.dataset == "coco":
        found = _open_coco(config, split, masks)
    else:
        found = (
            open_voc(config, config.split(split)) if config.dataset == "voc" else open_made(config.split(split), count)
        )
    found = found.first(count)
    return found if masks else found.without_masks()


def _open_coco(config: DetectionDataConfig, split: Literal["train", "eval"], masks: bool) -> AnnotatedImages:
    """Opens a COCO set: in its official layout, or by the files that the settings name."""
    own = config.train_annotations if split == "train" else config.eval_annotations
    name = config.split(split)
    if own:
        folder = config.eval_dir if split == "eval" and config.eval_dir else config.data_dir
        return open_coco(config, own, folder, f"coco/{own.rpartition('/')[2]}", masks)
    check(
        split == "train" or not config.train_annotations,
        "--eval_annotations must name the objects to evaluate on, if --train_annotations names those to train on.",
        "no --eval_annotations",
    )
    check(split == "train" or not config.eval_dir, "--eval_dir needs --eval_annotations.", config.eval_dir)
    root = config.data_dir.rstrip("/")
    return open_coco(config, f"{root}/annotations/instances_{name}.json", f"{root}/{name}", f"coco/{name}", masks)
