"""What evaluate.py runs: each protocol judges a finished or a running pre-training."""

import dataclasses
import pathlib
from typing import Any

from simsiam_tf import build
from simsiam_tf.checkpoints import restore_model
from simsiam_tf.config import Config, DataConfig
from simsiam_tf.data.sources import Source, listing_bad_images, open_eval_source, open_source
from simsiam_tf.evaluation.config import EvaluationConfig
from simsiam_tf.evaluation.knn import KNNProtocol
from simsiam_tf.evaluation.linear import LinearProtocol
from simsiam_tf.export import export
from simsiam_tf.methods import SSLModel
from simsiam_tf.settings import UsageError, expand
from simsiam_tf.workdir import Workdir, record


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is judged, and on what.

    Attributes:
        workdir: of the run.
        run: its configuration.
        data: the data set to judge it on.
        suffix: of the records' names: empty for the run's own data.
        model: with the checkpoint's weights.
        checkpoint: the checkpoint's name.
    """

    workdir: Workdir
    run: Config
    data: DataConfig
    suffix: str
    model: SSLModel
    checkpoint: str


def evaluate(path: str, options: EvaluationConfig, data_overrides: dict[str, Any]) -> None:
    """Runs one protocol and puts its records into summary.json.

    Args:
        path: the run's workdir.
        options: the protocol and its settings.
        data_overrides: settings of `DataConfig` that differ from the run's.

    Raises:
        UsageError: if the request cannot be met.
    """
    workdir = Workdir.of_old_run(path)
    run = workdir.config()
    data = dataclasses.replace(run.data, **data_overrides)
    workdir.check_writable()
    # Mixed precision keeps float32 weights: judge and export those in float32.
    build.set_precision("float64" if run.devices.precision == "float64" else "float32")
    model = build.make_model(run)
    checkpoint = restore_model(model, workdir.checkpoints, options.checkpoint)
    subject = Subject(workdir, run, data, _suffix(data, run.data), model, pathlib.Path(checkpoint).name)
    PROTOCOLS[options.protocol](subject, options)


def _suffix(data: DataConfig, own: DataConfig) -> str:
    """Of the records' names: empty for the run's own data, else what the numbers were taken on."""

    def parts(config):
        folder = pathlib.Path(expand(config.data_dir)) if config.dataset == "folder" else None
        return folder or config.dataset, config.train_split, config.eval_split

    if parts(data) == parts(own):
        return ""
    names = [part.name if isinstance(part, pathlib.Path) else part for part in parts(data)]
    return "_" + "_".join(name for name in names if name != "auto")


def _labelled_sources(data: DataConfig) -> tuple[Source, Source] | None:
    """The splits to learn from and to judge on; `None`, said in a sentence, where labels are lacking."""
    train, test = open_source(data, data.train_split), open_eval_source(data)
    if train.labels is None or test is None or test.labels is None:
        lacking = "no labels" if train.labels is None else "no labelled split to evaluate on"
        print(f"Nothing to judge by: the data set {data.dataset} has {lacking}.")
        return None
    return train, test


def _knn(subject: Subject, options: EvaluationConfig) -> None:
    name = f"knn_top1{subject.suffix}"
    sources = _labelled_sources(subject.data)
    if sources is None:
        subject.workdir.add_to_summary({name: record(None, reason="kNN needs labels and an evaluation split")})
        return
    bank, queries = sources
    protocol = KNNProtocol(
        bank.first(options.knn_max_examples),
        queries,
        subject.run.data.image_size,
        k=options.knn_k,
        temperature=options.knn_temperature,
        batch_size=options.eval_batch_size,
    )
    with listing_bad_images([protocol.bank, queries], subject.workdir.skipped_path):
        value = protocol.accuracy(subject.model.backbone, verbose=True)
    subject.workdir.add_to_summary({name: record(value, **protocol.describe(), checkpoint=subject.checkpoint)})
    print(f"{name} {value:.2f} %, written to {subject.workdir.summary_path}")


def _linear(subject: Subject, options: EvaluationConfig) -> None:
    sources = _labelled_sources(subject.data)
    if sources is None:
        raise UsageError(
            f"A linear probe needs labelled splits to learn from and to be judged on. Received: {subject.data.dataset}."
        )
    protocol = LinearProtocol(*sources, subject.run.data.image_size, options)
    with listing_bad_images(sources, subject.workdir.skipped_path):
        top1, top5, seconds = protocol.accuracy(subject.model.backbone)
    details = {**protocol.describe(), "checkpoint": subject.checkpoint, "seconds": seconds}
    names = f"linear_top1{subject.suffix}", f"linear_top5{subject.suffix}"
    subject.workdir.add_to_summary({name: record(v, **details) for name, v in zip(names, (top1, top5), strict=True)})
    print(f"{names[0]} {top1:.2f} %, {names[1]} {top5:.2f} %, written to {subject.workdir.summary_path}")


def _export(subject: Subject, options: EvaluationConfig) -> None:
    directory = subject.workdir.root / "export"
    exported = subject.workdir.summary().get("export", {}).get("checkpoint")
    if directory.exists():
        if exported == subject.checkpoint:
            print(f"{directory} holds the export of {exported} already; nothing was changed.")
            return
        raise UsageError(
            f"{directory} holds another export; move it away first. Received: {exported or 'an unknown checkpoint'}."
        )
    export(subject.model.backbone, subject.run.data.image_size, directory)
    details = {"signature": "serving_default", "checkpoint": subject.checkpoint}
    subject.workdir.add_to_summary({"export": record(str(directory), **details)})
    print(f"Exported {subject.checkpoint}: SavedModel and backbone.keras in {directory}")


PROTOCOLS = {"knn": _knn, "linear": _linear, "export": _export}
