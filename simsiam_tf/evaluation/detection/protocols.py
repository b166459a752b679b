"""Runs the protocols of evaluate.py on runs of transfer.py."""

import json
import logging
import time
from typing import Any

import tensorflow as tf

from simsiam_tf.config.evaluation import EvaluationConfig, ExportConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.data.sources import listing_bad_images
from simsiam_tf.detection.measuring import Measured, measure
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.detection.exporting import check_export, export_run
from simsiam_tf.evaluation.detection.loaded_detector import LoadedDetector
from simsiam_tf.evaluation.detection.report import SAMPLES, write_report
from simsiam_tf.evaluation.detection.samples import sample_pictures
from simsiam_tf.evaluation.report.page import report_path
from simsiam_tf.files import write_text
from simsiam_tf.training.transfer_summary import score_records

_log = logging.getLogger(__name__)

# The protocols for runs of transfer.py, in the order in which they run.
OF_DETECTORS = ("detection", "report", "export")


def evaluate_detector(
    path: str, options: EvaluationConfig, data_overrides: dict[str, Any], strategy: tf.distribute.Strategy
) -> None:
    """Runs protocols on a run of transfer.py.

    Args:
        path: the folder of the run.
        options: the protocols and their settings.
        data_overrides: the settings of the data that differ from the run's, by name.
        strategy: the distribution strategy to compute under.

    Raises:
        UsageError: if a protocol is not one for detectors, or the run cannot be evaluated.
    """
    wrong = [name for name in options.task.protocol if name not in OF_DETECTORS]
    if wrong:
        raise UsageError(
            f"A run of transfer.py takes --protocol={','.join(OF_DETECTORS)}, or some of them. "
            f"Received: {','.join(wrong)}."
        )
    protocols, formats = options.task.protocol, options.export.format
    if formats == ExportConfig().format:  # the usual ones of a backbone; of a detector the first is usual
        formats = formats[:1]
    run = LoadedDetector.load(path, options.task.checkpoint, strategy, data_overrides)
    if "export" in protocols:
        check_export(run, formats)
    if "report" in protocols:
        out = report_path(options.images.out, run.workdir.root)  # before other protocols take their time
    pictures: list[dict[str, str]] = []
    note = ""
    try:
        with (
            listing_bad_images([run.training.source, run.test.source], run.workdir.skipped_path),
            run.estimated_statistics(),
        ):
            if "detection" in protocols:
                _detection(run)
            if "export" in protocols:
                export_run(run, formats)
            if "report" in protocols:
                pictures = sample_pictures(run, SAMPLES)
    except UsageError as error:
        if {"detection", "export"}.intersection(protocols):
            raise
        note = f"Without pictures: {error}"
    if "report" in protocols:
        write_report(run, out, pictures, note)


def _detection(run: LoadedDetector) -> None:
    """Measures the average precision, and writes it and the detections of all test images."""
    start, settings = time.monotonic(), run.config.run
    measured = measure(run.detector, run.test, run.recipe, run.metric, settings.eval_batch_size, verbose=True)
    seconds = time.monotonic() - start
    # What another checkpoint of a finished run finds stands beside what the last one does.
    is_other = run.workdir.is_finished() and run.checkpoint != f"step-{run.config.run.steps}"
    ending = f"_at_{run.checkpoint}" if is_other else ""
    file = run.workdir.root / f"detections{ending}.json"
    write_text(file, json.dumps(coco_results(run, measured)))
    by_class = dict(zip(run.test.classes, measured.per_class, strict=True))
    evaluated = {"test_size": len(measured.found), "checkpoint": run.checkpoint, "seconds": seconds}
    evaluated["precision"] = run.detector.compute_dtype
    records = score_records(measured.scores, run.config, run.test, run.metric, **evaluated)
    records["box_ap"]["per_class"] = by_class
    run.workdir.add_to_summary({f"{name}{ending}": value for name, value in records.items()})
    shown = ", ".join(
        f"{name.replace('_', ' ').replace('ap', 'AP')} {'-' if value is None else f'{value:.2f} %'}"
        for name, value in measured.scores.items()
    )
    _log.log(
        RESULT, f"Detection by {run.checkpoint} on {len(measured.found)} images: {shown} ({seconds:.0f} s; {file})."
    )


def coco_results(run: LoadedDetector, measured: Measured) -> list[dict]:
    """Returns detections in COCO's format for results, with the numbers and names of images and categories.

    Args:
        run: the run.
        measured: the detections.
    """
    results = []
    for position in sorted(measured.found):
        found, image = measured.found[position], run.test.objects[position].image_id
        for i in range(len(found)):
            x1, y1, x2, y2 = found.boxes[i].tolist()
            result = {
                "image_id": image,
                "category_id": run.test.category_ids[int(found.classes[i])],
                "file_name": run.test.source.name_of(position),
                "category": run.test.classes[int(found.classes[i])],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": float(found.scores[i]),
            }
            if found.masks is not None:
                mask = found.masks[i]
                counts = mask["counts"]
                text = counts.decode("ascii") if isinstance(counts, bytes) else counts
                result["segmentation"] = {"size": list(mask["size"]), "counts": text}
            results.append(result)
    return results
