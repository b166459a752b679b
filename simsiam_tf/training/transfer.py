"""Fine-tunes a detector from a backbone (Table 5): puts strategy, images, detector and callbacks together."""

import dataclasses
import json
import logging
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.callbacks.detection_monitor import DetectionMonitor
from simsiam_tf.callbacks.trackers import Tracker, closing
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.transfer import TransferConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.pipeline import detection_batches
from simsiam_tf.data.objects.resize import Recipe
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.sources import listing_bad_images
from simsiam_tf.detection import Detector
from simsiam_tf.detection.c4 import normalised
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.input import Share, dataset_of, per_replica_batch_size
from simsiam_tf.distribute.strategy import make_strategy
from simsiam_tf.distribute.xla import compiles_step
from simsiam_tf.files import check_bucket, user_path
from simsiam_tf.interop.given import Given
from simsiam_tf.training import factory, hparams
from simsiam_tf.training.checkpoints import Checkpoints, Saver, weights_sha256
from simsiam_tf.training.data_record import has_checkpoints
from simsiam_tf.training.detector_factory import (
    make_compiled_detector,
    metric_of,
    on_tpu,
    open_images,
    open_weights,
    order_of,
    with_network_of,
)
from simsiam_tf.training.loop import TrainingLoop
from simsiam_tf.training.metrics_log import MetricsLog
from simsiam_tf.training.tracking import make_tracker, refuse_missing_tracker, send_results
from simsiam_tf.training.transfer_summary import check_same_data, data_of, records_of_transfer
from simsiam_tf.training.transfer_workdir import TransferWorkdir
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Holds what fine-tuning a detector needs.

    Attributes:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        training: the images to train on.
        test: the images to evaluate on.
        order: the order of the training images.
        workdir: the folder of the run.
    """

    config: TransferConfig
    strategy: tf.distribute.Strategy
    training: AnnotatedImages
    test: AnnotatedImages
    order: ShuffledOrder
    workdir: TransferWorkdir

    @property
    def recipe(self) -> Recipe:
        """Returns how images are resized."""
        return Recipe.of(self.config.data)

    @property
    def periods(self) -> int:
        """Returns the number of lines of metrics.jsonl."""
        return self.config.run.steps // self.config.run.log_every_steps

    def batches(self, share: Share, start: int = 0, stop: int | None = None) -> tf.data.Dataset:
        """Makes the training batches of a host, from a step on."""
        return detection_batches(self.training, self.order, self.recipe, share, start, stop)

    def batches_for_statistics(self) -> Iterable[Any]:
        """Makes the training batches by which batch norm is estimated anew."""
        count = self.config.run.precise_bn_batches
        if count == 0:
            return ()
        local, parts = workers.local_strategy(self.strategy), self.config.devices.accumulate_steps
        return dataset_of(local, lambda share: self.batches(share, 0, count), self.order.global_batch_size, parts)


def transfer(config: TransferConfig) -> None:
    """Fine-tunes a detector to the end: starts a run, or resumes it from its latest checkpoint.

    Args:
        config: the settings of the run.

    Raises:
        UsageError: if the request cannot be met; nothing is overwritten then.
        Stopped: after SIGTERM or Ctrl-C, once the step under way is finished and saved.
        FloatingPointError: if the run diverges.
        ConnectionError: if another worker has gone, or a bucket does not exist, refuses, or does not answer.
    """
    check_bucket(user_path(config.run.workdir))
    strategy, devices = make_strategy(config.devices), config.devices
    if devices.deterministic:
        tf.config.experimental.enable_op_determinism()
    with workers.naming_lost_workers(strategy):
        refuse_missing_tracker(config.run.track, strategy)
        size = config.data.global_batch_size
        per_replica_batch_size(size, strategy.num_replicas_in_sync, devices.accumulate_steps)
        compiles_step(strategy, devices.jit)
        given = open_weights(config)
        config = on_tpu(strategy, with_network_of(config, given))
        factory.set_precision(devices.precision)
        training, test = open_images(config)
        order = order_of(config, training)
        workdir = _open_workdir(config, strategy, training, test)
        if workdir is not None:
            _train_and_report(Transfer(config, strategy, training, test, order, workdir), given)


def _open_workdir(
    config: TransferConfig, strategy: tf.distribute.Strategy, training: AnnotatedImages, test: AnnotatedImages
) -> TransferWorkdir | None:
    """Opens and locks the folder of a run, on the chief only; returns `None` on every worker if the run is finished."""
    closed = TransferWorkdir(user_path(config.run.workdir))
    opened = workers.on_chief(strategy, lambda: TransferWorkdir.open_for_training(config), closed)
    if workers.broadcast_from_chief(strategy, int(workers.on_chief(strategy, opened.is_finished, False))):
        _log.log(RESULT, f"This run is finished; its results are in {opened.summary_path}. Nothing was changed.")
        return None
    workers.on_chief(strategy, lambda: _compare_data(opened, training, test), None)
    workers.on_chief(strategy, lambda: opened.record_settings(config), None)
    workers.check_same_run(strategy, json.dumps({**config.identity(), "images": len(training)}, default=str))
    return opened


def _compare_data(workdir: TransferWorkdir, training: AnnotatedImages, test: AnnotatedImages) -> None:
    """Compares the images and objects with those that the run began with, and records them."""
    before, now = workdir.data() or {}, data_of(training, test)
    if before and has_checkpoints(workdir.root):
        check_same_data(before, now, "began with; give another --workdir")
    workdir.record_data(now)


def _train_and_report(run: Transfer, given: Given | None) -> None:
    """Trains to the end, and writes the summary on the chief."""
    is_chief = workers.is_chief(run.strategy)
    sources = [run.training.source, run.test.source]
    tracker = make_tracker(run.config, run.workdir, run.config.run.log_every_steps, run.strategy)
    try:
        with closing(tracker), listing_bad_images(sources, run.workdir.skipped_path if is_chief else None):
            digest = _train(run, given, tracker)
    finally:
        for source in sources:
            if source.files is not None:  # the batches that were read ahead would hold up the end of the process
                source.files.unreadable.close()
    if is_chief:
        records = records_of_transfer(run.config, run.workdir, run.test, metric_of(run.config))
        run.workdir.add_to_summary({**records, "weights_sha256": digest})
        send_results(tracker, run.workdir)
        _log.log(RESULT, f"Done: results in {run.workdir.summary_path}, checkpoints in {run.workdir.checkpoints}.")


def _train(run: Transfer, given: Given | None, tracker: Tracker | None) -> dict[str, Any]:
    """Trains to the end, and returns the record of the weights' fingerprint."""
    config, strategy = run.config, run.strategy
    keras.utils.set_random_seed(config.run.seed)
    with strategy.scope():
        detector = make_compiled_detector(config, len(run.training.classes), run.training.has_masks)
    checkpoints = Checkpoints(detector, strategy, run.workdir.checkpoints, config.run.keep_checkpoints)
    step = checkpoints.restore_latest()
    if checkpoints.saved_step < 0:
        _begin(run, detector, given)
    callbacks: list[keras.callbacks.Callback] = [CollapseMonitor("lower --learning_rate or raise --warmup_steps")]
    on_record = 0
    if workers.is_chief(strategy):
        on_record = _begin_record(run, step)
        log = MetricsLog(run.workdir, config.run.log_every_steps)
        if checkpoints.saved_step < 0:  # a new run
            settings = {**config.identity(), "backbone": config.backbone.backbone, "recipe": config.recipe}
            log.write_settings(settings, hparams.OF_TRANSFER)
        callbacks += [_monitor(run), *filter(None, (log, tracker))]
    loop = TrainingLoop(
        detector,
        strategy,
        make_dataset=run.batches,
        prepare=normalised,
        callbacks=callbacks,
        saver=Saver(checkpoints, config.run.save_every_steps, config.run.save_every_minutes),
        devices=config.devices,
        order=run.order,
    )
    loop.run(range(workers.broadcast_from_chief(strategy, on_record), run.periods))
    of = "every variable of the detector and its optimizer, ordered by path"
    return record(weights_sha256(detector), of=of, step=checkpoints.step)


def _begin(run: Transfer, detector: Detector, given: Given | None) -> None:
    """Gives the backbone of a new run its first weights, on every worker."""

    def take() -> str:
        return given.assign_to_backbone(detector.backbone) if given else "The backbone begins with random weights."

    taken = workers.on_chief(run.strategy, take, "")
    workers.copy_from_chief(run.strategy, [variable.value for variable in detector.variables])
    if workers.is_chief(run.strategy):
        _log.info(taken)
        run.workdir.record_initial_weights(taken)


def _begin_record(run: Transfer, step: int) -> int:
    """Prints what is trained, removes lines of metrics.jsonl after a step, and returns how many periods it has."""
    network, every = run.config.backbone, run.config.run.log_every_steps
    replicas = run.strategy.num_replicas_in_sync
    _log.info(
        f"{f'Continuing at step {step}' if step else 'Starting'}: a detector on {network.arch} of width "
        f"{network.width:g}, {len(run.training)} images of {run.training.source.name} with "
        f"{len(run.training.classes)} classes, {run.config.run.steps} steps of {run.order.global_batch_size} images on "
        f"{replicas} replica{'s' if replicas > 1 else ''}, {run.config.devices.precision}."
    )
    run.workdir.keep_metrics_up_to(step)
    lines = run.workdir.metrics()
    # A kill may come after the last save of a period and before its line is written.
    return min(max(lines[-1]["epoch"] if lines else 0, (step - 1) // every), step // every) if step else 0


def _monitor(run: Transfer) -> DetectionMonitor:
    options = run.config.run
    return DetectionMonitor(
        run.test,
        run.recipe,
        metric_of(run.config),
        batch_size=options.eval_batch_size,
        every=options.eval_every_steps // options.log_every_steps,
        periods=run.periods,
        batches=run.batches_for_statistics,
        strategy=workers.local_strategy(run.strategy),
    )
