"""Draws what a detector finds in some test images, beside the true objects, for the report."""

import itertools

import numpy as np

from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.reading import ObjectReader, Wanted
from simsiam_tf.detection.measuring import detect_all, true_objects
from simsiam_tf.evaluation.detection.loaded_detector import LoadedDetector
from simsiam_tf.evaluation.detection.pictures import VISIBLE, contact_sheet, data_uri, draw_detections

MIN_SCORE = 0.5  # of the detections that are drawn


def sample_pictures(run: LoadedDetector, count: int) -> list[dict[str, str]]:
    """Draws the first test images that can be read, with detections and true objects.

    Args:
        run: the run, inside `run.estimated_statistics()`.
        count: the number of images at most.

    Returns:
        A dictionary for each image, with the picture as `src`, its `title`, and the number of objects as `caption`.

    Raises:
        UsageError: if too many images are unreadable.
    """
    batch_size, pictures = min(count, run.config.run.eval_batch_size), []
    found = detect_all(run.detector, run.test, run.recipe, batch_size)
    for position, detections in itertools.islice(found, count):
        image = read_image(run.test, position)
        if image is None:  # the file has changed in the meantime
            continue
        truth = true_objects(run.test.objects[position], masks=False)
        drawn = draw_detections(image, detections, run.test.classes, truth, MIN_SCORE, longest=VISIBLE)
        shown = int(np.count_nonzero(detections.scores >= MIN_SCORE))
        best = f", the best score {detections.scores.max():.2f}" if len(detections) and not shown else ""
        pictures.append(
            {
                "src": data_uri(contact_sheet([drawn], columns=1)),
                "title": f"{'' if run.test.source.files else 'image '}{run.test.source.name_of(position)}",
                "caption": f"{_counted(len(truth), 'object')}, {_counted(shown, 'detection')}{best}",
            }
        )
    return pictures


def read_image(annotated: AnnotatedImages, position: int) -> np.ndarray | None:
    """Reads an image in its own size, as training decodes and turns it.

    Args:
        annotated: the images.
        position: the position of the image.

    Returns:
        `[H, W, 3] uint8`; `None` if the image cannot be read.

    Raises:
        UsageError: if too many images are unreadable.
    """
    size = annotated.objects[position].size
    if size is None:
        return None
    reader = ObjectReader(annotated, max(size), with_objects=False)
    wanted = Wanted(np.array([position]), np.array([min(size)]), np.zeros(1, bool), size, replace=False)
    (images, _), shown = reader.read(wanted)
    return images[0] if shown[0] >= 0 else None


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
