"""Pre-trains a model: puts strategy, images, method and callbacks together, and runs the training loop."""

import dataclasses
import functools
import json
import logging
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import Policy
from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.callbacks.feature_monitor import FeatureMonitor
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.run import Config
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.overview import look_at, overview
from simsiam_tf.data.pipeline import pretraining_dataset, with_views
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.input import Share, per_replica_batch_size
from simsiam_tf.distribute.strategy import has_accelerator, make_strategy
from simsiam_tf.distribute.xla import compiled, compiles_step
from simsiam_tf.errors import UsageError
from simsiam_tf.features.knn import KNNProtocol
from simsiam_tf.files import expand
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory, limits, summary
from simsiam_tf.training.checkpoints import Checkpoints, Saver, weights_sha256
from simsiam_tf.training.data_record import as_started, compare_data, held_out_by
from simsiam_tf.training.executor import Prepare
from simsiam_tf.training.loop import TrainingLoop
from simsiam_tf.training.metrics_log import MetricsLog
from simsiam_tf.training.workdir import Workdir, record

_log = logging.getLogger(__name__)

# The number of training images whose features are monitored in a run without kNN.
_WATCHED = 2000
# Strategies whose replicas cannot share a table in the memory of one host.
_SEVERAL_HOSTS = tf.distribute.MultiWorkerMirroredStrategy, tf.distribute.TPUStrategy


@dataclasses.dataclass(frozen=True)
class RunState:
    """Holds what training a run needs: its settings, images and folder.

    Attributes:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        source: the training images.
        order: the order of the training images.
        views: the augmentation policy of each view.
        knn: the protocol of the kNN monitor; `None` if kNN is off, and on workers other than the chief.
        workdir: the folder of the run.
    """

    config: Config
    strategy: tf.distribute.Strategy
    source: Source
    order: ShuffledOrder
    views: tuple[Policy, ...]
    knn: KNNProtocol | None
    workdir: Workdir

    @property
    def is_chief(self) -> bool:
        """Returns whether this process writes the results."""
        return workers.is_chief(self.strategy)


def pretrain(config: Config) -> None:
    """Pre-trains to the end: starts a run, or resumes it from its latest checkpoint.

    Args:
        config: the settings of the run.

    Raises:
        UsageError: if the request cannot be met; nothing is overwritten then.
        Stopped: after SIGTERM or Ctrl-C, once the step under way is finished and saved.
        FloatingPointError: if the run diverges.
        ConnectionError: if another worker has gone.
    """
    config = as_started(config)
    strategy = make_strategy(config.devices)
    factory.set_precision(config.devices.precision)
    if config.devices.deterministic:
        tf.config.experimental.enable_op_determinism()
    with workers.naming_lost_workers(strategy):
        run = _open_run(config, strategy)
        if run is not None:
            _train_and_report(run)


def _open_run(config: Config, strategy: tf.distribute.Strategy) -> RunState | None:
    """Opens the images and the folder of a run; returns `None` if the run is finished."""
    _refuse_what_cannot_be_computed(config, strategy)
    data = DataSet(config.data, held_out_by(pathlib.Path(expand(config.run.workdir))))
    source = data.training.first(config.data.max_examples)
    order = ShuffledOrder(source.num_examples, config.data.global_batch_size, config.run.seed)
    if config.model.online_probe and source.labels is None:
        raise UsageError(f"--online_probe needs labelled training images. Received: {source.name}, without labels.")
    knn = _knn_protocol(config, data) if workers.is_chief(strategy) else None
    if workers.is_chief(strategy):
        lines = overview(data, look_at(source), source.num_examples)
        for line in lines:
            _log.info(line)
    workdir = _open_workdir(config, strategy)
    if workdir is None:
        return None
    if workers.is_chief(strategy):
        order = compare_data(config, workdir, data, order, lines)
    order = dataclasses.replace(order, epoch_steps=workers.broadcast_from_chief(strategy, order.epoch_steps))
    views = factory.view_policies(config)
    run = RunState(config=config, strategy=strategy, source=source, order=order, views=views, knn=knn, workdir=workdir)
    steps_per_execution = config.devices.steps_per_execution
    alike = {**config.identity(), "steps_per_execution": steps_per_execution, "images": source.num_examples}
    workers.check_same_run(strategy, json.dumps(alike, default=str))
    return run


def _refuse_what_cannot_be_computed(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Raises a UsageError if the devices cannot do what the settings ask for, before any image is read."""
    devices, batch_size = config.devices, config.data.global_batch_size
    per_replica_batch_size(batch_size, strategy.num_replicas_in_sync, devices.accumulate_steps)
    compiles_step(strategy, devices.jit)
    accelerated = has_accelerator(strategy)
    shares = strategy.num_replicas_in_sync if isinstance(strategy, _SEVERAL_HOSTS) else 1
    limits.check_memory(config, devices.cpu_devices, shares, holds_activations=not accelerated)
    limits.warn_if_slow(config, accelerated)
    if config.model.of_method.remembers_images and isinstance(strategy, _SEVERAL_HOSTS):
        raise UsageError(
            "--eta_momentum and --alternation_steps keep targets of each image in the memory of one host; they need "
            f"a single host without a TPU; the number of replicas is free. Received: {type(strategy).__name__}."
        )


def _knn_protocol(config: Config, data: DataSet) -> KNNProtocol | None:
    """Returns the protocol of the kNN monitor, or `None` if it is off or labels are missing."""
    if config.run.knn_every_epochs == 0:
        return None
    if data.lacks or data.labelled is None or data.evaluation is None:
        _log.info(f"kNN is off: the data set {config.data.dataset} has {data.lacks}.")
        return None
    return KNNProtocol(data.labelled.first(config.run.knn_max_examples), data.evaluation)


def _open_workdir(config: Config, strategy: tf.distribute.Strategy) -> Workdir | None:
    """Opens and locks the folder of a run, on the chief only; returns `None` on every worker if the run is finished."""
    workdir = Workdir(pathlib.Path(expand(config.run.workdir)))
    is_finished, problem = False, None
    if workers.is_chief(strategy):
        try:
            workdir = Workdir.open_for_training(config)
            is_finished = workdir.is_finished()
        except Exception as error:  # of any kind: the other workers, which wait for the chief, must hear of it
            problem = error
    if workers.broadcast_from_chief(strategy, int(problem is not None)):
        raise problem or UsageError("The chief refused the run; its output says why.")
    if workers.broadcast_from_chief(strategy, int(is_finished)):
        _log.log(RESULT, f"This run is finished; its results are in {workdir.summary_path}. Nothing was changed.")
        return None
    return workdir


def _train_and_report(run: RunState) -> None:
    """Trains to the end, and writes the summary on the chief."""
    # Only the chief writes files. The other workers only print which images they could not read.
    skipped = run.workdir.skipped_path if run.is_chief else None
    sources = [run.source, *([run.knn.bank, run.knn.queries] if run.knn else [])]
    try:
        with listing_bad_images(sources, skipped):
            digest = _train(run)
    finally:
        if run.source.files is not None:  # the batches that were read ahead would hold up the end of the process
            run.source.files.unreadable.close()
    if run.is_chief:
        records = summary.records_of_training(run.config, run.workdir, run.knn)
        run.workdir.add_to_summary({**records, "weights_sha256": digest})
        _log.log(RESULT, f"Done: results in {run.workdir.summary_path}, checkpoints in {run.workdir.checkpoints}.")
    else:
        _log.log(RESULT, f"Done: the chief wrote the results, in its {run.workdir.root}; weights {digest['value']}.")


def _train(run: RunState) -> dict[str, Any]:
    """Trains to the end, and returns the record of the weights' fingerprint for summary.json."""
    config, steps = run.config, run.order.steps_per_epoch
    keras.utils.set_random_seed(config.run.seed)
    with run.strategy.scope():
        model = factory.make_compiled_model(config, steps, run.source.num_classes)
    factory.make_target_table(model, run.order)
    checkpoints = Checkpoints(model, run.strategy, run.workdir.checkpoints, config.run.keep_checkpoints)
    step = checkpoints.restore_latest()
    callbacks, on_record = [CollapseMonitor("lower --base_learning_rate or use --warmup_epochs")], step // steps
    if run.is_chief:
        chief_callbacks, on_record = _begin_record(run, model, step)
        callbacks += chief_callbacks
    looks_ahead = model.targets is not None and bool(model.targets.lookahead_window(0))
    make_dataset, prepare = _input(run, looks_ahead)
    loop = TrainingLoop(
        model,
        run.strategy,
        make_dataset=make_dataset,
        prepare=prepare,
        callbacks=callbacks,
        saver=Saver(checkpoints, config.run.save_every_steps, config.run.save_every_minutes),
        devices=config.devices,
        order=run.order,
    )
    loop.run(range(workers.broadcast_from_chief(run.strategy, on_record), config.run.epochs))
    digest = weights_sha256(model)
    return record(digest, of="every model and optimizer variable, ordered by path", step=checkpoints.step)


def _begin_record(run: RunState, model: SSLModel, step: int) -> tuple[list[keras.callbacks.Callback], int]:
    """Prepares the chief's records for training from a step on: config.json, metrics.jsonl and the monitors.

    Lines of metrics.jsonl after that step are dropped. At step 0 a line for the untrained network is added.

    Returns:
        The callbacks of the chief, and the number of epochs whose metrics are recorded.
    """
    config, steps = run.config, run.order.steps_per_epoch
    _announce(run, step)
    run.workdir.record_resolved(summary.resolved_settings(config, model, run.order, run.strategy.num_replicas_in_sync))
    run.workdir.keep_metrics_up_to(step)
    log, lines, every = MetricsLog(run.workdir, steps), run.workdir.metrics(), config.run.knn_every_epochs
    watched = run.knn.queries if run.knn else run.source.first(_WATCHED)
    monitors = [FeatureMonitor(run.knn, watched, config.data.image_size, every, config.run.epochs)] if every else []
    on_record = step // steps
    if step == 0 and not lines:  # a run stopped before its first step has the line already
        log.write(0, monitors[0].measure(model, verbose=True) if monitors else {})
    else:  # a kill may come after an epoch's last save and before its line is written
        on_record = min(max(lines[-1]["epoch"] if lines else 0, (step - 1) // steps), on_record)
        if not lines and step:
            _log.warning(f"metrics.jsonl has no line up to step {step}; it goes on with epoch {on_record + 1}.")
    return [*monitors, log], on_record


def _announce(run: RunState, step: int) -> None:
    """Prints what is about to be trained, and from which step."""
    config, order, replicas = run.config, run.order, run.strategy.num_replicas_in_sync
    doing = f"Continuing at step {step}" if step else "Starting"
    _log.info(
        f"{doing}: {config.model.method}, {config.model.arch}, {order.num_examples} images of {config.data.dataset}, "
        f"{config.run.epochs} epochs of {order.steps_per_epoch} steps, batch {order.global_batch_size} on {replicas} "
        f"replica{'s' if replicas > 1 else ''}, {config.devices.precision}."
    )


def _input(run: RunState, looks_ahead: bool) -> tuple[Callable[[Share, int], tf.data.Dataset], Prepare]:
    """Returns two functions: one makes the batches of a host, the other prepares a batch before the training step.

    The first makes the views, on the host, or the second does, on the device. If targets are precomputed, batches also
    hold the positions of their images.
    """
    size, where, labelled = run.config.data.image_size, run.config.augment.augment_on, run.config.model.online_probe
    on_device = where == "device" or (where == "auto" and has_accelerator(run.strategy))

    def make_dataset(share: Share, start_step: int) -> tf.data.Dataset:
        dataset = pretraining_dataset(
            run.source, run.order, run.views, image_size=size, share=share, start_step=start_step, labelled=labelled
        )
        dataset = dataset if on_device else with_views(dataset, run.views, size)
        if not looks_ahead:
            return dataset
        positions = run.order.steps(share, start_step, None)
        return tf.data.Dataset.zip(dataset, positions).map(lambda batch, position: {**batch, "position": position})

    make_views = functools.partial(augment_views.make_views, run.views, size)
    return make_dataset, compiled(run.strategy, make_views) if on_device else lambda batch: batch
