"""Exports the detector of a run of transfer.py into its folder."""

import logging
from collections.abc import Sequence

from simsiam_tf.config.evaluation import ExportFormat
from simsiam_tf.config.messages import RESULT
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.detection.loaded_detector import LoadedDetector
from simsiam_tf.files import exists
from simsiam_tf.interop.detector_export import check_detector_formats, export_detector
from simsiam_tf.interop.detector_formats import ExportedDetector
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)


def check_export(run: LoadedDetector, formats: Sequence[ExportFormat]) -> None:
    """Checks, before anything is computed, that a detector can be exported.

    Args:
        run: the run.
        formats: the names of the formats.

    Raises:
        UsageError: if a format holds no detectors, a package for it is missing, or the folder `export` is of another
            checkpoint.
    """
    before = run.workdir.summary().get("export", {}).get("checkpoint")
    directory = run.workdir.root / "export"
    if exists(directory) and before != run.checkpoint:
        raise UsageError(
            f"{directory} holds the export of another checkpoint; move it away first. "
            f"Received: {before or 'an unknown checkpoint'}."
        )
    check_detector_formats(_exported(run), formats)


def export_run(run: LoadedDetector, formats: Sequence[ExportFormat]) -> None:
    """Exports the detector, with the statistics of batch norm that it is evaluated with.

    Args:
        run: the run, within its estimated statistics.
        formats: the names of the formats.

    Raises:
        FloatingPointError: if a weight is not finite, or a file finds other objects than the detector.
    """
    directory = run.workdir.root / "export"
    details = {"signature": "serving_default", "checkpoint": run.checkpoint}
    details["precise_bn_batches"] = str(run.config.run.precise_bn_batches)
    # First, so that what is cut short is known to be of this checkpoint.
    run.workdir.add_to_summary({"export": record(str(directory), **details)})
    done = export_detector(_exported(run), directory, formats)
    said = "; ".join(f"{name} {what}" for name, what in done.items())
    _log.log(RESULT, f"Export of {run.checkpoint} in {directory}: {said}.")


def _exported(run: LoadedDetector) -> ExportedDetector:
    data = run.config.data
    return ExportedDetector(
        run.detector, run.classes, data.evaluation_side, data.long_side, turns=data.exif == "upright"
    )
