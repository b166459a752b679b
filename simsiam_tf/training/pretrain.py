"""Pre-trains a model: puts strategy, images, method and callbacks together, and runs the training loop."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.callbacks.feature_monitor import FeatureMonitor
from simsiam_tf.callbacks.trackers import Tracker, closing
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.run import Config
from simsiam_tf.data.sources import listing_bad_images
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.strategy import hosts_of_tpu, make_strategy
from simsiam_tf.errors import NOT_FINITE, Stopped
from simsiam_tf.files import check_bucket, user_path
from simsiam_tf.guard.causes import State
from simsiam_tf.guard.facts import facts_of_run
from simsiam_tf.interop.given import Given
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory, hparams, slices, summary
from simsiam_tf.training.bad_steps import BadSteps
from simsiam_tf.training.checkpoints import Checkpoints, Saver, weights_sha256
from simsiam_tf.training.data_record import as_started, knn_bank_rule
from simsiam_tf.training.given_weights import begin_with_given, given_for
from simsiam_tf.training.kept_settings import identity_of
from simsiam_tf.training.loop import EndedByCallback, TrainingLoop
from simsiam_tf.training.metrics_log import MetricsLog
from simsiam_tf.training.opened_run import OpenedImages, OpenedRun, refuse_what_cannot_be_computed
from simsiam_tf.training.run_files import FIRST_LOSS
from simsiam_tf.training.run_input import make_input
from simsiam_tf.training.tracking import make_tracker, refuse_missing_tracker, send_results
from simsiam_tf.training.trial import expect_time
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)

# The number of training images whose features are monitored in a run without kNN.
_WATCHED = 2000
# Chooses the settings of a run, once its images are known.
Chooser = Callable[[Config, OpenedImages, tf.distribute.Strategy], Config]


def pretrain(config: Config, choose: Chooser | None = None, dry_run: bool = False) -> None:
    """Pre-trains to the end: starts a run, or resumes it from its latest checkpoint.

    Args:
        config: the settings of the run.
        choose: a function that replaces the settings once the images are known; `None` takes them as they are.
        dry_run: whether to say how long the run would take, and to stop before anything is written.

    Raises:
        UsageError: if the request cannot be met; nothing is overwritten then.
        Stopped: after SIGTERM or Ctrl-C, once the step under way is finished and saved.
        FloatingPointError: if the run diverges.
        ConnectionError: if another worker has gone, or a bucket does not exist, refuses, or does not answer.
    """
    slices.check_settings(config, len(config.devices.tpu_addresses))
    check_bucket(user_path(config.run.workdir))
    config = as_started(config)
    strategy = make_strategy(config.devices)
    hosts = hosts_of_tpu(strategy)
    slices.check_settings(config, hosts)
    if config.devices.deterministic:
        tf.config.experimental.enable_op_determinism()
    with workers.naming_lost_workers(strategy):
        refuse_missing_tracker(config.run.track, strategy)
        given = workers.on_chief(strategy, lambda: given_for(config), None)
        images = OpenedImages.open(config, strategy)
        if choose is None:
            refuse_what_cannot_be_computed(config, strategy)
        slices.check_settings(config, hosts, images.source.files is not None and not config.data.reads_blocks)
        if choose is not None:
            config = as_started(choose(config, images, strategy))
            refuse_what_cannot_be_computed(config, strategy)
        factory.set_precision(config.devices.precision)
        slices.check_input(config, strategy, images.source)
        config = slices.without_blind_monitor(config, strategy, images)
        if dry_run:
            expect_time(config, strategy, images)
            return
        run = OpenedRun.open(config, strategy, images)
        if run is not None:
            _train_and_report(run, given)


def _train_and_report(run: OpenedRun, given: Given | None) -> None:
    """Trains to the end, and writes the summary on the chief."""
    # Only the chief writes files. The other workers only print which images they could not read.
    skipped = run.workdir.skipped_path if run.is_chief else None
    sources = [run.source, *([run.knn.bank, run.knn.queries] if run.knn else [])]
    tracker = make_tracker(run.config, run.workdir, run.order.steps_per_epoch, run.strategy)
    try:
        with closing(tracker), listing_bad_images(sources, skipped):
            digest = _train(run, given, tracker)
    finally:
        if run.source.files is not None:  # the batches that were read ahead would hold up the end of the process
            run.source.files.unreadable.close()
    if run.is_chief:
        records = summary.records_of_training(run.config, run.workdir, run.knn)
        run.workdir.add_to_summary({**records, "weights_sha256": digest})
        send_results(tracker, run.workdir)
        _log.log(RESULT, f"Done: results in {run.workdir.summary_path}, checkpoints in {run.workdir.checkpoints}.")
    else:
        _log.log(RESULT, f"Done: the chief wrote the results, in its {run.workdir.root}; weights {digest['value']}.")


def _train(run: OpenedRun, given: Given | None, tracker: Tracker | None) -> dict[str, Any]:
    """Trains to the end, from given weights if it is a new run, and returns the record of the weights' fingerprint."""
    config, steps = run.config, run.order.steps_per_epoch
    keras.utils.set_random_seed(config.run.seed)
    with run.strategy.scope():
        model = factory.make_compiled_model(config, steps, run.source.num_classes)
    factory.make_target_table(model, run.order)
    checkpoints = Checkpoints(model, run.strategy, run.workdir.checkpoints, config.run.keep_checkpoints)
    step = checkpoints.restore_latest()
    if checkpoints.saved_step < 0 and config.run.init_weights:  # a new run
        taken = begin_with_given(model, given, run.strategy)
        if run.is_chief:
            _log.info(taken)
            run.workdir.record_initial_weights(taken)
    monitors, log, on_record = _begin_record(run, model, step) if run.is_chief else ([], None, step // steps)
    guard = _guard(run, model)
    if log is not None:
        log.guard = guard
    make_dataset, prepare = make_input(config, run.strategy, run.source, run.order)
    loop = TrainingLoop(
        model,
        run.strategy,
        make_dataset=make_dataset,
        prepare=prepare,
        callbacks=[*monitors, guard, *filter(None, (log, tracker))],
        saver=Saver(checkpoints, config.run.save_every_steps, config.run.save_every_minutes),
        devices=config.devices,
        order=run.order,
        on_bad_step=BadSteps(config, run.workdir, run.source, run.order, checkpoints, run.strategy),
    )
    try:
        loop.run(range(workers.broadcast_from_chief(run.strategy, on_record), config.run.epochs))
    except EndedByCallback as ended:
        raise _stopped(run, guard, ended.step) from None
    digest = weights_sha256(model)
    return record(digest, of="every model and optimizer variable, ordered by path", step=checkpoints.step)


def _guard(run: OpenedRun, model: SSLModel) -> CollapseMonitor:
    """Makes the monitor of the run's state. On the chief it knows kNN of the untrained network, and the last state."""
    lines = run.workdir.metrics() if run.is_chief else []
    facts = facts_of_run(run.config, model, run.source.num_examples)
    untrained = [line["knn_top1"] for line in lines[:1] if line["epoch"] == 0 and "knn_top1" in line]
    last = lines[-1] if lines else {}
    return CollapseMonitor(
        "lower --base_learning_rate or use --warmup_epochs",
        on_collapse=run.config.run.on_collapse,
        facts=dataclasses.replace(
            facts,
            untrained_knn=untrained[0] if untrained else None,
            knn_images=run.knn.queries.num_examples if run.knn else None,
        ),
        max_skipped_steps=run.config.run.max_skipped_steps,
        state=last["state"] if last.get("state") in list(State) else State.HEALTHY,
        first_loss=last.get(FIRST_LOSS),
    )


def _stopped(run: OpenedRun, guard: CollapseMonitor, step: int) -> Stopped:
    """Writes into summary.json that the run was stopped, and returns the exception that ends the command."""
    if not run.is_chief:
        return Stopped(f"Stopped at step {step}, which is saved; the chief's output says why.", NOT_FINITE)
    run.workdir.add_to_summary({"stopped": record(str(guard.state), step=step, checkpoint=f"step-{step}")})
    return Stopped(
        f"Stopped at step {step}, which is saved: the run is {guard.state}. The same command goes on, with "
        "--on_collapse=warn to the end; other settings need another --workdir.",
        NOT_FINITE,
    )


def _begin_record(run: OpenedRun, model: SSLModel, step: int) -> tuple[list[keras.callbacks.Callback], MetricsLog, int]:
    """Prepares the chief's records for training from a step on: config.json, metrics.jsonl and the monitors.

    Lines of metrics.jsonl after that step are dropped. At step 0 a line for the untrained network is added.

    Returns:
        The monitors, the log of metrics, and the number of epochs whose metrics are recorded.
    """
    config, steps = run.config, run.order.steps_per_epoch
    _announce(run, step)
    replicas = run.strategy.num_replicas_in_sync
    rule = knn_bank_rule(run.workdir.root)
    run.workdir.record_resolved(summary.resolved_settings(config, model, run.order, replicas, rule))
    run.workdir.keep_metrics_up_to(step)
    if "stopped" in run.workdir.summary():
        run.workdir.add_to_summary({"stopped": None})
    log, lines, every = MetricsLog(run.workdir, steps), run.workdir.metrics(), config.run.knn_every_epochs
    watched = run.knn.queries if run.knn else run.source.first(_WATCHED)
    monitors = []
    if every:
        local = workers.local_strategy(run.strategy)
        monitors = [FeatureMonitor(run.knn, watched, config.data.image_size, every, config.run.epochs, local)]
    on_record = step // steps
    if step == 0 and not lines:  # a run stopped before its first step has the line already
        log.write_settings({**identity_of(config), "recipe": config.recipe}, hparams.OF_TRAINING)
        log.write(0, monitors[0].measure(model, verbose=True) if monitors else {})
    else:  # a kill may come after an epoch's last save and before its line is written
        on_record = min(max(lines[-1]["epoch"] if lines else 0, (step - 1) // steps), on_record)
        if not lines and step:
            _log.warning(f"metrics.jsonl has no line up to step {step}; it goes on with epoch {on_record + 1}.")
    return monitors, log, on_record


def _announce(run: OpenedRun, step: int) -> None:
    """Prints what is about to be trained, and from which step."""
    config, order, replicas = run.config, run.order, run.strategy.num_replicas_in_sync
    doing = f"Continuing at step {step}" if step else "Starting"
    _log.info(
        f"{doing}: {config.model.method}, {config.model.arch}, {order.num_examples} images of {config.data.dataset}, "
        f"{config.run.epochs} epochs of {order.steps_per_epoch} steps, batch {order.global_batch_size} on {replicas} "
        f"replica{'s' if replicas > 1 else ''}, {config.devices.precision}."
    )
