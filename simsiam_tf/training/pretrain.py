"""Pre-training: assembles strategy, data, method and callbacks, and runs the loop."""

import dataclasses
import functools
import json
import pathlib

import keras
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.callbacks.feature_monitor import FeatureMonitor
from simsiam_tf.callbacks.health_check import HealthCheck
from simsiam_tf.config.run import Config, resolve_stem
from simsiam_tf.data.pipeline import Order, pretraining_dataset, with_views
from simsiam_tf.data.sources import Source, listing_bad_images, open_eval_source, open_source
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.input import per_replica_batch_size
from simsiam_tf.distribute.strategy import has_accelerator, make_strategy
from simsiam_tf.distribute.xla import compiled, compiles_step
from simsiam_tf.errors import UsageError
from simsiam_tf.features.knn import KNNProtocol
from simsiam_tf.files import expand
from simsiam_tf.methods import SSLModel
from simsiam_tf.optim import scaled_learning_rate
from simsiam_tf.training import factory, loop
from simsiam_tf.training.checkpoints import Checkpoints, Saver, weights_sha256
from simsiam_tf.training.metrics_log import MetricsLog
from simsiam_tf.training.workdir import Workdir, record


def pretrain(config: Config) -> None:
    """Runs a pre-training to its end, from wherever it stands.

    Args:
        config: the run.

    Raises:
        UsageError: if the request cannot be met; nothing is overwritten then.
        Stopped: after SIGTERM or Ctrl-C, once the step is saved.
    """
    strategy = make_strategy(config.devices)
    factory.set_precision(config.devices.precision)
    if config.devices.deterministic:
        tf.config.experimental.enable_op_determinism()
    with workers.naming_lost_workers(strategy):
        _pretrain(config, strategy)


def _pretrain(config, strategy):
    devices, is_chief, batch = config.devices, workers.is_chief(strategy), config.data.global_batch_size
    # These say at once what cannot be done.
    per_replica_batch_size(batch, strategy.num_replicas_in_sync, devices.accumulate_steps)
    compiles_step(strategy, devices.jit)
    if config.model.of_method.remembers_images and isinstance(strategy, _SEVERAL_HOSTS):
        raise UsageError(
            "--eta_momentum and --alternation_steps keep targets of each image in the memory of one host; they take "
            f"one host, with any number of replicas, and no TPU. Received: {type(strategy).__name__}."
        )
    views = factory.view_policies(config)
    labelled = open_source(config.data, config.data.train_split)
    source = labelled.first(config.data.max_examples)
    order = Order(source.num_examples, batch, config.run.seed)
    if config.model.online_probe and source.labels is None:
        raise UsageError(f"--online_probe needs labelled training images. Received: {source.name}, without labels.")
    knn = _knn_protocol(config, labelled) if is_chief else None
    workdir = _open_workdir(config, strategy)
    if workdir is None:
        return
    alike = {**config.identity(), "steps_per_execution": devices.steps_per_execution, "images": source.num_examples}
    workers.check_same_run(strategy, json.dumps(alike, default=str))
    # Only the chief writes: another worker's bad images are in what it prints.
    skipped = workdir.skipped_path if is_chief else None
    with listing_bad_images([source, *([knn.bank, knn.queries] if knn else [])], skipped):
        digest = _train(config, strategy, source, order, views, knn, workdir)
    if is_chief:
        workdir.add_to_summary({**_summary(config, workdir, knn), "weights_sha256": digest})
        print(f"Done: results in {workdir.summary_path}, checkpoints in {workdir.checkpoints}.")
    else:
        print(f"Done: the chief wrote the results, in its {workdir.root}; weights {digest['value']}.")


# Training images that an unlabelled run's features are looked at by.
_WATCHED = 2000
_GO, _FINISHED, _REFUSED = range(3)
_SEVERAL_HOSTS = tf.distribute.MultiWorkerMirroredStrategy, tf.distribute.TPUStrategy


def _open_workdir(config, strategy):
    """The workdir, which the chief looks at and locks, for all workers; `None` if its run is finished."""
    workdir, verdict, problem = Workdir(pathlib.Path(expand(config.run.workdir))), _GO, None
    if workers.is_chief(strategy):
        try:
            workdir = Workdir.of_new_run(config)
            verdict = _FINISHED if workdir.is_finished() else _GO
        except Exception as error:  # whatever it is, the others must not wait
            verdict, problem = _REFUSED, error
    verdict = workers.chief_says(strategy, verdict)
    if verdict == _REFUSED:
        raise problem or UsageError("The chief refused the run; it says why.")
    if verdict == _FINISHED:
        print(f"This run is finished; its results are in {workdir.summary_path}. Nothing was changed.")
        return None
    return workdir


def _train(config, strategy, source, order, views, knn, workdir):
    """Trains to the end; the record of the weights' fingerprint."""
    run, steps, replicas = config.run, order.steps_per_epoch, strategy.num_replicas_in_sync
    keras.utils.set_random_seed(run.seed)
    with strategy.scope():
        model = factory.make_trainer(config, steps, source.num_classes)
    factory.make_table(model, order)
    checkpoints = Checkpoints(model, strategy, workdir.checkpoints, run.keep_checkpoints)
    step = checkpoints.restore_latest()
    callbacks, on_record = [HealthCheck()], step // steps
    if workers.is_chief(strategy):
        _announce(config, order, replicas, step)
        workdir.record_resolved(_resolved(config, model, order, replicas))
        workdir.keep_metrics_up_to(step)
        log, lines = MetricsLog(workdir, steps), workdir.metrics()
        every, watched = run.knn_every_epochs, knn.queries if knn else source.first(_WATCHED)
        monitors = [FeatureMonitor(knn, watched, config.data.image_size, every, run.epochs)] if every else []
        if step == 0:
            log.write(0, monitors[0].measure(model, verbose=True) if monitors else {})
        elif lines:  # an epoch's last step may be saved and its line not yet written
            on_record = min(max(lines[-1]["epoch"], (step - 1) // steps), on_record)
        callbacks += [*monitors, log]
    loop.run_epochs(
        model,
        strategy,
        *_input(config, strategy, source, order, views, has_turns=bool(model.turn(0))),
        callbacks,
        Saver(checkpoints, run.save_every_steps, run.save_every_minutes),
        config.devices,
        order,
        range(workers.chief_says(strategy, on_record), run.epochs),
    )
    return record(
        weights_sha256(model), of="every model and optimizer variable, ordered by path", step=checkpoints.step
    )


def _input(config, strategy, source, order, views, has_turns):
    """The batches of a host's share, and what the step does to a batch first: the views are made in one of them."""
    size, where = config.data.image_size, config.augment.augment_on
    on_device = where == "device" or (where == "auto" and has_accelerator(strategy))

    def make_dataset(share, start_step):
        labelled = config.model.online_probe
        dataset = pretraining_dataset(source, order, views, size, share, start_step, labelled=labelled)
        dataset = dataset if on_device else with_views(dataset, views, size)
        if not has_turns:
            return dataset
        positions = order.steps(share, start_step, None)
        return tf.data.Dataset.zip(dataset, positions).map(lambda batch, position: {**batch, "position": position})

    make_views = functools.partial(policies.make_views, views, size)
    return make_dataset, compiled(strategy, make_views) if on_device else lambda batch: batch


def _knn_protocol(config: Config, source: Source) -> KNNProtocol | None:
    if config.run.knn_every_epochs == 0:
        return None
    queries = open_eval_source(config.data)
    if source.labels is None or queries is None or queries.labels is None:
        lacking = "no labels" if source.labels is None else "no labelled split to evaluate on"
        print(f"kNN is off: the data set {config.data.dataset} has {lacking}.")
        return None
    return KNNProtocol(source.first(config.run.knn_max_examples), queries)


def _resolved(config: Config, model: SSLModel, order: Order, replicas: int) -> dict:
    """What the settings came to."""
    peak = scaled_learning_rate(config.optimizer.base_learning_rate, order.global_batch_size)
    trained = model.predictor is not None and model.predictor.trainable_variables
    return {
        "learning_rate": peak,
        "predictor_learning_rate": peak * config.optimizer.predictor_lr_multiplier if trained else None,
        "steps_per_epoch": order.steps_per_epoch,
        "replicas": replicas,
        "training_images": order.num_examples,
        "cifar_stem": resolve_stem(config.model, config.data.image_size),
        "feature_dim": model.feature_dim,
        "projector_hidden_dim": config.model.of_method.projector_hidden_dim or model.feature_dim,
        "augmentation": [dataclasses.asdict(policy) for policy in policies.resolve(config.augment)],
    }


def _announce(config, order, replicas, step):
    doing = f"Continuing at step {step}" if step else "Starting"
    print(
        f"{doing}: {config.model.method}, {config.model.arch}, {order.num_examples} images of {config.data.dataset}, "
        f"{config.run.epochs} epochs of {order.steps_per_epoch} steps, batch {order.global_batch_size} on {replicas} "
        f"replica{'s' if replicas > 1 else ''}, {config.devices.precision}."
    )


def _summary(config: Config, workdir: Workdir, knn: KNNProtocol | None) -> dict:
    """The records of a finished run, from what metrics.jsonl holds."""
    lines = workdir.metrics()
    untrained, last = (lines[0] if lines[0]["epoch"] == 0 else None), lines[-1]
    at_the_end = {
        "train": f"{config.data.dataset}/{config.data.train_split}",
        "augmentation": config.augment.augmentation,
        "epoch": last["epoch"],
        "checkpoint": f"step-{last['step']}",
    }
    of_last_epoch = {"over": "mean over the last epoch's steps, in training mode", **at_the_end}

    def knn_record(line):
        if knn is None or line is None or "knn_top1" not in line:
            return record(None, reason="kNN needs labels, an evaluation split and --knn_every_epochs above 0")
        at = {"epoch": line["epoch"], "step": line["step"]}
        at |= {"checkpoint": f"step-{line['step']}"} if line["step"] else {}  # none is of the untrained network
        return record(line["knn_top1"], **knn.describe(), **at, seconds=line.get("monitor_seconds"))

    return {
        "knn_top1": knn_record(last),
        "knn_top1_untrained": knn_record(untrained),
        **_online_records(config, last, at_the_end, knn),
        "loss": record(last["loss"], **of_last_epoch),
        "z_std_scaled": record(last["z_std_scaled"], **of_last_epoch),
        "images_per_second": record(
            last.get("images_per_second"),
            unit=f"source images, {len(factory.view_policies(config))} views each",
            epoch=last["epoch"],
        ),
        "wall_seconds": record(
            last["wall_seconds"], over="epochs and kNN monitor; not what an interrupted epoch had done"
        ),
        "input_wait_fraction": record(
            last.get("input_wait_fraction"), over="the last epoch's time, its first step left out", epoch=last["epoch"]
        ),
        "skipped_images": record(len(workdir.skipped()), reason="unreadable", listed_in=workdir.skipped_path.name),
        "epochs": record(config.run.epochs),
        "recipe": record(config.recipe),
    }


def _online_records(config: Config, last: dict, at_the_end: dict, knn: KNNProtocol | None) -> dict:
    """The records of the online probe, if there was one; `last` is the last line of metrics.jsonl."""
    optimizer, batch = config.optimizer, config.data.global_batch_size
    of = {"online_probe_train_top1": "the training views of the last epoch"}
    of |= {"online_probe_top1": f"the centre crops of {knn.queries.name}"} if knn else {}
    return {
        name: record(
            last[name],
            unit="percent",
            protocol=f"online linear probe, trained beside the method, on {source}",
            optimizer=optimizer.optimizer,
            base_learning_rate=optimizer.base_learning_rate,
            learning_rate=scaled_learning_rate(optimizer.base_learning_rate, batch),
            weight_decay=optimizer.weight_decay,
            batch_size=batch,
            epochs=config.run.epochs,
            **at_the_end,
            step=last["step"],
            seconds=last["wall_seconds"],
        )
        for name, source in of.items()
        if name in last
    }
