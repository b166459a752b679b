"""What evaluate.py runs: each protocol judges a finished or a running pre-training."""

import dataclasses
import time
from typing import Any

import tensorflow as tf

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EvaluationConfig
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.distribute.strategy import make_strategy
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.diagnostics import run_diagnostics
from simsiam_tf.evaluation.embeddings import run_embed, run_neighbours
from simsiam_tf.evaluation.finetune import run_finetuning
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.evaluation.probes.on_crops import run_probes
from simsiam_tf.evaluation.probes.sweep import run_sweep
from simsiam_tf.evaluation.report.report import run_report
from simsiam_tf.features.knn import KNNProtocol, knn_scores
from simsiam_tf.interop.saved_model import export
from simsiam_tf.training.workdir import record


def evaluate(
    paths: list[str], options: EvaluationConfig, data_overrides: dict[str, Any], devices: DeviceConfig
) -> None:
    """Runs one protocol and puts its records into summary.json.

    Args:
        paths: the run's workdir; for the report those of several runs.
        options: the protocol and its settings.
        data_overrides: settings of `DataConfig` that differ from the run's.
        devices: that embed and fine-tune.

    Raises:
        UsageError: if the request cannot be met.
    """
    protocol, several = options.task.protocol, options.task.protocol == "report"
    if not paths or (len(paths) > 1 and not several):
        wanted = "the folders of one run or more" if several else "the folder of one run"
        raise UsageError(f"--workdir must name {wanted} of train.py. Received: {', '.join(paths) or 'none'}.")
    if devices.strategy == "multiworker":
        raise UsageError("An evaluation runs on one machine. Received: --strategy=multiworker.")
    if devices.strategy == "auto" and not devices.tpu:
        devices = dataclasses.replace(devices, strategy="mirrored")  # whatever TF_CONFIG says of other machines
    # Neighbours are told apart by less than what TensorFloat-32 rounds away.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    strategy, task = make_strategy(devices), options.task
    subjects = [
        Subject.load(path, task.checkpoint if path == paths[0] else "", data_overrides, strategy, task.eval_batch_size)
        for path in paths
    ]
    if several:
        run_report(subjects, options.images)
        return
    subject = subjects[0]
    with listing_bad_images(_sources(subject, protocol), subject.workdir.skipped_path):
        PROTOCOLS[protocol](subject, options)


def _sources(subject: Subject, protocol: str) -> list[Source]:
    """The images that a protocol reads."""
    if protocol == "export":
        return []
    if protocol in ("embed", "neighbours") or subject.test_source is None:
        return [subject.train_source]
    return [subject.train_source, subject.test_source]


def _knn(subject: Subject, options: EvaluationConfig) -> None:
    config = options.knn
    if subject.lacks:
        print(f"Nothing to judge by: the data set {subject.data.dataset} has {subject.lacks}.")
        nothing = record(None, reason="kNN needs labels and an evaluation split")
        subject.workdir.add_to_summary({f"knn_top1{subject.suffix}": nothing})
        return
    train, test = subject.labelled_sources("kNN")
    train = train.first(config.knn_max_examples)
    bank, queries = subject.features(train), subject.features(test)
    start = time.monotonic()
    scores = knn_scores(bank, queries, train.num_classes, config.knn_k, config.knn_temperature)
    seconds = time.monotonic() - start + subject.store.seconds(train) + subject.store.seconds(test)
    for (k, temperature), (top1, top5) in reversed(scores.items()):  # the first pair's records come last
        first = (k, temperature) == (config.knn_k[0], config.knn_temperature[0])
        which = "" if first else f"_k{k}_t{temperature:g}"
        details = KNNProtocol(train, test, min(k, len(bank)), temperature).describe()
        subject.add_records({f"knn_top1{which}": top1, f"knn_top5{which}": top5}, seconds, **details)


def _linear(subject: Subject, options: EvaluationConfig) -> None:
    names = tuple(name for name in options.probe.probe if name != "cached")
    if names:
        run_probes(subject, options.probe, names)
    if "cached" in options.probe.probe:
        run_sweep(subject, options.probe)


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
    export(subject.backbone, subject.image_size, directory)
    details = {"signature": "serving_default", "checkpoint": subject.checkpoint}
    subject.workdir.add_to_summary({"export": record(str(directory), **details)})
    print(f"Exported {subject.checkpoint}: SavedModel and backbone.keras in {directory}")


PROTOCOLS = {
    "knn": _knn,
    "linear": _linear,
    "finetune": lambda subject, options: run_finetuning(subject, options.finetune),
    "diagnostics": lambda subject, options: run_diagnostics(subject, options.images),
    "embed": lambda subject, options: run_embed(subject, options.images),
    "neighbours": lambda subject, options: run_neighbours(subject, options.images),
    "export": _export,
}
