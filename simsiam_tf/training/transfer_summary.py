"""Makes the records of a run of transfer.py for summary.json."""

from typing import Any

from simsiam_tf.config.transfer import TransferConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.detection.measuring import Metric
from simsiam_tf.errors import UsageError
from simsiam_tf.training.transfer_workdir import TransferWorkdir
from simsiam_tf.training.workdir import record

# The records of the average precision. Those of masks are there if the data set has masks.
SCORES = tuple(f"{kind}_{name}" for kind in ("box", "mask") for name in ("ap", "ap50", "ap75"))
_PROTOCOLS: dict[Metric, str] = {
    "coco": "COCO's average precision, pycocotools",
    "voc07": "average precision of Pascal VOC, 11 points of the recall, difficult objects left out",
    "voc12": "average precision of Pascal VOC, area under the curve, difficult objects left out",
}
_OVER = {"ap": "IoU 0.50 to 0.95", "ap50": "IoU 0.50", "ap75": "IoU 0.75"}


def data_of(training: AnnotatedImages, test: AnnotatedImages) -> dict[str, Any]:
    """Returns what config.json says of the images to train and to evaluate on, and of their objects."""
    return {
        "fingerprint": training.fingerprint,
        "test_fingerprint": test.fingerprint,
        "images": len(training),
        "objects": sum(objects.num_to_train for objects in training.objects),
        "left_out": list(training.broken),
        "classes": list(training.classes),
        "has_masks": training.has_masks,
    }


def check_same_data(before: dict[str, Any], now: dict[str, Any], of_run: str) -> None:
    """Checks that images and objects are those of a run.

    Args:
        before: what config.json says of them.
        now: what `data_of` says of them.
        of_run: what the run did with them, for the message.

    Raises:
        UsageError: if they differ.
    """
    if before.get("fingerprint") != now["fingerprint"]:
        raise UsageError(
            f"The images or their objects are not those that the run {of_run}. Received: {now['images']} images and "
            f"{now['objects']} objects, {before.get('images')} and {before.get('objects')} before."
        )
    if before.get("test_fingerprint") != now["test_fingerprint"]:
        raise UsageError(
            f"The images to evaluate on, or their objects, are not those that the run {of_run}. "
            "Received: others, by their names, sizes, boxes or masks."
        )


def score_records(
    scores: dict[str, Any], config: TransferConfig, test: AnnotatedImages, metric: Metric, **more: Any
) -> dict[str, Any]:
    """Makes the records of the average precision.

    Args:
        scores: percentages by name; a score that is missing or `None` is recorded as such.
        config: the settings of the run.
        test: the images that were evaluated on.
        metric: `coco`, `voc07` or `voc12`.
        **more: further parts of each record: `test_size`, the number of images that could be read, and the checkpoint.
    """
    data, run = config.data, config.run
    details = {
        "test": f"{test.source.name}",
        "short_side": data.evaluation_side,
        "precise_bn_batches": run.precise_bn_batches,
        "metric": metric,
    }
    masks = config.detector.masks and test.has_masks and metric == "coco"
    records = {}
    for name in SCORES:
        if name.startswith("box") or masks:
            value = scores.get(name)
            reason = {} if value is not None else {"reason": "there is no object to find"}
            over = _OVER[name.rpartition("_")[2]]
            records[name] = record(
                value, unit="percent", protocol=_PROTOCOLS[metric], over=over, **reason, **details, **more
            )
    return records


def records_of_transfer(
    config: TransferConfig, workdir: TransferWorkdir, test: AnnotatedImages, metric: Metric
) -> dict[str, Any]:
    """Returns the records of a finished run, made from the last line of metrics.jsonl.

    Args:
        config: the settings of the run.
        workdir: the folder of the run.
        test: the images that were evaluated on.
        metric: `coco`, `voc07` or `voc12`.
    """
    last, every = workdir.metrics()[-1], config.run.log_every_steps
    checkpoint = f"step-{last['step']}"
    evaluated = {"test_size": int(last["eval_images"]), "checkpoint": checkpoint, "seconds": last["eval_seconds"]}
    evaluated["precision"] = config.devices.precision
    over = f"mean over the last {every} steps, in training mode"
    return {
        **score_records(last, config, test, metric, **evaluated),
        "loss": record(last["loss"], over=over, checkpoint=checkpoint),
        "images_per_second": record(last.get("images_per_second"), unit="images", step=last["step"]),
        "wall_seconds": record(last["wall_seconds"], over="steps and evaluations"),
        "skipped_images": record(len(workdir.skipped()), reason="unreadable", listed_in=workdir.skipped_path.name),
        "steps": record(config.run.steps),
        "recipe": record(config.recipe),
    }
