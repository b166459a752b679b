"""Runs the protocols of evaluate.py on finished or unfinished runs of train.py."""

import dataclasses
import logging
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from simsiam_tf.config.detection_data import OF_OBJECTS
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EvaluationConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.distribute.strategy import hosts_of_tpu, make_strategy
from simsiam_tf.errors import UsageError, check
from simsiam_tf.evaluation.comparison.did_it_help import run_did_it_help
from simsiam_tf.evaluation.detection.protocols import evaluate_detector
from simsiam_tf.evaluation.diagnostics import run_diagnostics
from simsiam_tf.evaluation.embeddings import run_embed
from simsiam_tf.evaluation.finetune import run_finetuning
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.neighbours import run_neighbours
from simsiam_tf.evaluation.outputs import new_path
from simsiam_tf.evaluation.probes.classifiers import best_classifier
from simsiam_tf.evaluation.probes.on_crops import run_probes
from simsiam_tf.evaluation.probes.sweep import run_sweep
from simsiam_tf.evaluation.report.page import check_report_path
from simsiam_tf.evaluation.report.report import run_report
from simsiam_tf.features.knn import KNNProtocol, knn_scores
from simsiam_tf.files import exists, user_path
from simsiam_tf.interop.formats import Exported, check_formats, export
from simsiam_tf.interop.given import heads_of
from simsiam_tf.training.transfer_workdir import is_transfer
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)


def evaluate(
    paths: list[str], options: EvaluationConfig, data_overrides: dict[str, Any], devices: DeviceConfig
) -> None:
    """Runs one protocol or several on a run. Those that measure something add their numbers to summary.json.

    Args:
        paths: the workdir of the run. The protocol `report` alone takes the workdirs of several runs.
        options: the protocols and their settings. `task.checkpoint` is a checkpoint of the first run.
        data_overrides: the settings of `DataConfig` that differ from the run's, by name.
        devices: the devices to compute on.

    Raises:
        UsageError: if the request cannot be met, for example because a workdir holds no run.
    """
    task = options.task
    _check_paths(paths, task.protocol)
    protocols = dict.fromkeys(task.protocol)  # each once, in the order given
    _check_out(options.images.out, protocols)
    devices = _on_one_machine(devices)
    # TensorFloat-32 would round away the small differences by which neighbours are ranked.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    strategy = make_strategy(devices)
    _check_hosts(devices, hosts_of_tpu(strategy))
    if any(is_transfer(path) for path in paths):
        check(len(paths) == 1, "A run of transfer.py is judged alone.", f"{len(paths)} folders")
        evaluate_detector(paths[0], options, data_overrides, strategy)
        return
    of_objects = [name for name in OF_OBJECTS if name in data_overrides]
    check(not of_objects, "Files of objects go with a run of transfer.py.", f"--{', --'.join(of_objects)}")
    check(
        "detection" not in protocols,
        "--protocol=detection needs the folder of a run of transfer.py.",
        f"--workdir={paths[0]}",
    )
    runs = [
        LoadedRun.load(
            path, task.checkpoint if path == paths[0] else "", data_overrides, strategy, task.eval_batch_size
        )
        for path in paths
    ]
    run = runs[0]
    for protocol in protocols:
        if protocol == "report":
            run_report(runs, options.images)
            continue
        with listing_bad_images(_sources(run, protocol), run.workdir.skipped_path):
            PROTOCOLS[protocol](run, options)


def _check_paths(paths: Sequence[str], protocols: Sequence[str]) -> None:
    several = set(protocols) == {"report"}
    if not paths or (len(paths) > 1 and not several):
        wanted = "the folders of one run or more" if several else "the folder of one run"
        raise UsageError(f"--workdir must name {wanted} of train.py. Received: {', '.join(paths) or 'none'}.")


def _check_out(out: str, protocols: Iterable[str]) -> None:
    """Raises a UsageError if --out cannot be written, before other protocols take their time."""
    if out and "report" in protocols:
        check_report_path(user_path(out))
    elif out and {"embed", "neighbours"}.intersection(protocols):
        new_path(out, pathlib.Path())


def _on_one_machine(devices: DeviceConfig) -> DeviceConfig:
    """Returns the devices of this machine only, even if TF_CONFIG names other machines."""
    if devices.strategy in ("multiworker", "slurm"):
        raise UsageError(f"An evaluation runs on one machine. Received: --strategy={devices.strategy}.")
    _check_hosts(devices, len(devices.tpu_addresses))
    if devices.strategy == "auto" and not devices.tpu:
        return dataclasses.replace(devices, strategy="mirrored")
    return devices


def _check_hosts(devices: DeviceConfig, hosts: int) -> None:
    """Raises a UsageError for a TPU of several hosts: Python reads the images of an evaluation."""
    check(hosts <= 1, "--tpu must have one host for an evaluation.", f"{devices.tpu!r}, with {hosts} hosts")


def _sources(run: LoadedRun, protocol: str) -> list[Source]:
    """Returns the sources that a protocol reads."""
    if protocol == "export":
        return []
    if protocol in ("embed", "neighbours"):
        return [run.train_source]
    sources = (run.labelled_source or run.train_source, run.test_source)
    return [source for source in sources if source is not None]


def _knn(run: LoadedRun, options: EvaluationConfig) -> None:
    """Records the kNN accuracies for each k and temperature. Without labels it records why there are none."""
    if run.lacks:
        _log.log(RESULT, f"kNN needs labels: the data set {run.data.dataset} has {run.lacks}.")
        nothing = record(None, reason="kNN needs labels and an evaluation split")
        run.workdir.add_to_summary({f"knn_top1{run.suffix}": nothing})
        return
    config = options.knn
    train, test = run.labelled_sources("kNN")
    train = train.first(config.knn_max_examples)
    bank, queries = run.features(train), run.features(test)
    start = time.monotonic()
    scores = knn_scores(bank, queries, train.num_classes, config.knn_k, config.knn_temperature)
    seconds = time.monotonic() - start + run.store.seconds(train) + run.store.seconds(test)
    # The first k and temperature get the plain names knn_top1 and knn_top5, and are printed last.
    own = config.knn_k[0], config.knn_temperature[0]
    for (k, temperature), (top1, top5) in reversed(scores.items()):
        ending = "" if (k, temperature) == own else f"_k{k}_t{temperature:g}"
        details = KNNProtocol(train, test, k, temperature).describe()
        run.add_records({f"knn_top1{ending}": top1, f"knn_top5{ending}": top5}, seconds, **details)


def _linear(run: LoadedRun, options: EvaluationConfig) -> None:
    """Trains the chosen linear probes. `cached` is the sweep; the others share one pass over the images per epoch."""
    names = [name for name in options.probe.probe if name != "cached"]
    if names:
        run_probes(run, options.probe, names)
    if "cached" in options.probe.probe:
        run_sweep(run, options.probe)


def _export(run: LoadedRun, options: EvaluationConfig) -> None:
    """Exports the backbone into the workdir, in the formats that are not there yet."""
    directory = run.workdir.root / "export"
    before = run.workdir.summary().get("export", {}).get("checkpoint")
    if exists(directory) and before != run.checkpoint:
        raise UsageError(
            f"{directory} holds the export of another checkpoint; move it away first. "
            f"Received: {before or 'an unknown checkpoint'}."
        )
    heads = heads_of(run.model) if run.config.model.method == "simsiam" else {}
    plain = run.config.data.pixels == Pixels(run.config.data.exif, max_pixels=run.config.data.max_pixels)
    turns = run.config.data.exif == "upright" if plain else None
    if not plain and "savedmodel" in options.export.format:
        _log.warning(
            "The SavedModel takes no files, because the run read them with --alpha, --value_range or --channels; give "
            "it images that are converted so."
        )
    exported = Exported(run.backbone, run.image_size, heads, best_classifier(run), turns)
    check_formats(exported, options.export.format)
    if before != run.checkpoint:  # first, so that what is cut short is known to be of this checkpoint
        details = {"signature": "serving_default", "checkpoint": run.checkpoint}
        run.workdir.add_to_summary({"export": record(str(directory), **details)})
    done = export(exported, directory, options.export.format)
    said = "; ".join(f"{name} {what}" for name, what in done.items())
    _log.log(RESULT, f"Export of {run.checkpoint} in {directory}: {said}.")


PROTOCOLS: dict[str, Callable[[LoadedRun, EvaluationConfig], None]] = {
    "knn": _knn,
    "linear": _linear,
    "finetune": lambda run, options: run_finetuning(run, options.finetune, options.task.init_weights),
    "did_it_help": run_did_it_help,
    "diagnostics": lambda run, options: run_diagnostics(run, options.images),
    "embed": lambda run, options: run_embed(run, options.images),
    "neighbours": lambda run, options: run_neighbours(run, options.images),
    "export": _export,
}
