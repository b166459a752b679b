"""Keeps the classifiers that linear probes trained, for exports with class scores."""

import logging
import pathlib

from simsiam_tf.config.evaluation import PROBES
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
from simsiam_tf.files import exists
from simsiam_tf.interop.classifier import Classifier, load_classifier, save_classifier

_log = logging.getLogger(__name__)


def keep_classifier(run: LoadedRun, name: str, probe: LinearProbe, train: Source, top1: float) -> None:
    """Writes the classifier of a trained probe into the run's folder; the probe's own state stays as it is.

    Args:
        run: the run that was evaluated.
        name: the name of the probe, such as `cached`.
        probe: the trained probe, with a single head.
        train: the images that it was trained on, which name the classes.
        top1: its accuracy on the test images, percent.
    """
    classifier = Classifier(
        kernel=probe.kernel.numpy()[:, 0],
        bias=probe.bias.numpy()[0],
        names=train.classes or tuple(map(str, range(train.num_classes))),
        top1=top1,
        backbone_sha256=run.store.weights_sha256,
    )
    save_classifier(_file(run, name), classifier)


def best_classifier(run: LoadedRun) -> Classifier | None:
    """Returns the most accurate of the classifiers that were trained on the features of the run's checkpoint.

    Those that were trained on other data than the run's evaluation data do not count. A damaged file is left out with
    a warning.

    Args:
        run: the run to export.
    """
    found = []
    for name in (*PROBES, *(f"{name}_custom" for name in PROBES)):
        file = _file(run, name)
        if not exists(file):
            continue
        try:
            classifier = load_classifier(file)
        except (OSError, ValueError) as error:
            _log.warning(f"the classifier {file} cannot be read and is left out ({error}).")
            continue
        if classifier.backbone_sha256 == run.store.weights_sha256:
            found.append(classifier)
    return max(found, key=lambda classifier: classifier.top1, default=None)


def _file(run: LoadedRun, name: str) -> pathlib.Path:
    """Returns the path of the classifier of a probe."""
    return run.workdir.root / "classifiers" / f"linear_{name}{run.suffix}.npz"
