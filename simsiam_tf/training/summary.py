"""Makes the records of a pre-training: the derived settings of config.json, and the records of summary.json."""

import dataclasses
from typing import Any

from simsiam_tf.augment import policies
from simsiam_tf.config.model import ARCHS
from simsiam_tf.config.run import Config, resolve_stem
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.features.knn import KNNProtocol
from simsiam_tf.methods import SSLModel
from simsiam_tf.optim import scaled_learning_rate
from simsiam_tf.training import factory
from simsiam_tf.training.workdir import Workdir, record


def resolved_settings(
    config: Config, model: SSLModel, order: ShuffledOrder, replicas: int, knn_bank: str
) -> dict[str, Any]:
    """Returns the derived settings of a run: scaled learning rates, sizes and augmentation policies.

    Args:
        config: the settings of the run.
        model: the method of the run.
        order: the order of the training images.
        replicas: the number of replicas.
        knn_bank: the rule by which the images of the kNN monitor are chosen.

    Returns:
        The derived settings by name, as JSON can hold them.
    """
    peak = scaled_learning_rate(config.optimizer.base_learning_rate, order.global_batch_size)
    trained = model.predictor is not None and model.predictor.trainable_variables
    return {
        "learning_rate": peak,
        "predictor_learning_rate": peak * config.optimizer.predictor_lr_multiplier if trained else None,
        "steps_per_epoch": order.steps_per_epoch,
        "replicas": replicas,
        "training_images": order.num_examples,
        "knn_bank": knn_bank,
        "cifar_stem": config.model.arch in ARCHS and resolve_stem(config.model, config.data.image_size),
        "feature_dim": model.feature_dim,
        "projector_hidden_dim": config.model.of_method.projector_hidden_dim or model.feature_dim,
        "augmentation": [dataclasses.asdict(policy) for policy in policies.resolve(config.augment)],
    }


def records_of_training(config: Config, workdir: Workdir, knn: KNNProtocol | None) -> dict[str, Any]:
    """Returns the records of a finished run for summary.json, made from the lines of metrics.jsonl.

    Args:
        config: the settings of the run.
        workdir: the folder of the run.
        knn: the protocol of the kNN monitor, or `None` if kNN is off.

    Returns:
        A record (see `workdir.record`) for each name.
    """
    lines = workdir.metrics()
    untrained, last = (lines[0] if lines[0]["epoch"] == 0 else None), lines[-1]
    at_the_end = {
        "train": f"{config.data.dataset}/{config.data.train_split}",
        "augmentation": config.augment.augmentation,
        "epoch": last["epoch"],
        "checkpoint": f"step-{last['step']}",
    }
    of_last_epoch = {"over": "mean over the last epoch's steps, in training mode", **at_the_end}
    return {
        "knn_top1": _knn_record(last, knn),
        "knn_top1_untrained": _knn_record(untrained, knn),
        **_online_records(config, last, at_the_end, knn),
        "loss": record(last["loss"], **of_last_epoch),
        "z_std_scaled": record(last.get("z_std_scaled"), **of_last_epoch),
        **_speed_records(config, last),
        "skipped_images": record(len(workdir.skipped()), reason="unreadable", listed_in=workdir.skipped_path.name),
        "epochs": record(config.run.epochs),
        "recipe": record(config.recipe),
    }


def _knn_record(line: dict[str, Any] | None, knn: KNNProtocol | None) -> dict[str, Any]:
    """Returns the record of the kNN accuracy in one line of metrics.jsonl; its value is `None` if there is none."""
    if knn is None or line is None or "knn_top1" not in line:
        return record(None, reason="kNN needs labels, an evaluation split and --knn_every_epochs above 0")
    at = {"epoch": line["epoch"], "step": line["step"]}
    at |= {"checkpoint": f"step-{line['step']}"} if line["step"] else {}  # the untrained network has no checkpoint
    return record(line["knn_top1"], **knn.describe(), **at, seconds=line.get("monitor_seconds"))


def _speed_records(config: Config, last: dict[str, Any]) -> dict[str, Any]:
    """Returns the records of speed and time; `last` is the last line of metrics.jsonl."""
    return {
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
    }


def _online_records(
    config: Config, last: dict[str, Any], at_the_end: dict[str, Any], knn: KNNProtocol | None
) -> dict[str, Any]:
    """Returns the records of the online probe, or none without one; `last` is the last line of metrics.jsonl."""
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
