"""Fine-tunes the whole network on all labels or on a few, as SimCLR does on 1 % and 10 % of ImageNet."""

import logging
import pathlib
import re
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import FinetuneConfig
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import evaluation_dataset, pretraining_dataset, with_views
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.finetune_task import FinetuneTask
from simsiam_tf.evaluation.label_subsets import balanced_subset, listed_subset
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import feature_batches
from simsiam_tf.files import make_folder, make_way, user_path, write_text
from simsiam_tf.methods import SSLModel
from simsiam_tf.networks.heads import make_classifier
from simsiam_tf.optim import SGD, WarmupCosine, scaled_learning_rate
from simsiam_tf.training.checkpoints import Checkpoints, Saver
from simsiam_tf.training.given_weights import open_given
from simsiam_tf.training.loop import TrainingLoop

_log = logging.getLogger(__name__)

_AUGMENTATION = "linear_train"
_SAVE_EVERY_MINUTES = 10.0
# Endings of files of weights, which are left out of the names of results.
_ENDINGS = re.compile(r"(\.pth\.tar|\.pth|\.pt|\.ckpt|\.bin|\.keras|\.safetensors)$")


def run_finetuning(run: LoadedRun, config: FinetuneConfig, init_weights: str = "") -> None:
    """Fine-tunes the backbone on labelled images and records the accuracy on the test images.

    The names of the labelled images and the fine-tuned weights are kept in a folder inside the workdir. The same call
    resumes a stopped fine-tuning from there.

    Args:
        run: the run to evaluate. The weights of its backbone change in memory; its checkpoints do not.
        config: the labels to use, and the hyperparameters.
        init_weights: the weights to begin with in place of the run's, as for `--init_weights`; the run's if empty.

    Raises:
        UsageError: if labels are missing, there are fewer labelled images than replicas, or the weights that are given
            cannot be read or are not those of the run's backbone.
        Stopped: after SIGTERM or Ctrl-C, once the current step is saved.
    """
    taken, ending = "", ""
    if init_weights:
        taken = open_given(init_weights).assign_to_backbone(run.backbone)
        ending = f"_from_{_ENDINGS.sub('', user_path(init_weights).name)}"
        _log.info(taken)
    task = prepare(run, config, ending)
    before = run.workdir.summary().get(f"finetune_{task.name}_top1{run.suffix}", {}).get("initial_weights", "")
    if before not in ("", taken):
        raise UsageError(
            f"Results of other weights have the name finetune_{task.name}_top1 already ({before}); rename the file. "
            f"Received: {init_weights}."
        )
    model, first_step = fit(run, config, task)
    start = time.monotonic()
    top1, top5 = score(run, model, task.test)
    seconds = task.seconds_trained() + time.monotonic() - start
    values = {f"finetune_{task.name}_top1": top1, f"finetune_{task.name}_top5": top5}
    record(run, config, task, values=values, seconds=seconds, first_step=first_step, initial_weights=taken)


class Classifier(SSLModel):
    """Trains the backbone and a linear classifier together, with the cross-entropy as the loss.

    Args:
        backbone: the network from images `[B, H, W, 3]` to features `[B, D]`.
        num_classes: K, the number of classes.
        **kwargs: further arguments of `SSLModel`.
    """

    log_names = ("top1",)
    least_views = 1

    def __init__(self, backbone: keras.Model, num_classes: int, **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        self.classifier = make_classifier(self.feature_dim, num_classes)
        self.build()

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes the cross-entropy and the top-1 accuracy of the labels.

        Args:
            batch: `views`, a tuple of one view `[B, H, W, 3]`, and `labels`, `[B]`.
            training: whether the backbone runs in training mode.

        Returns:
            The mean cross-entropy, a scalar, and the log `top1` in percent.
        """
        (features,) = self.features(batch, training)
        logits, labels = self.classifier(features), batch["labels"]  # [B, K]
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        hits = tf.cast(metrics.top_k_hits(logits, labels, 1), loss.dtype)
        return loss, {"top1": 100.0 * tf.reduce_mean(hits)}


def prepare(run: LoadedRun, config: FinetuneConfig, ending: str = "") -> FinetuneTask:
    """Chooses the labelled images, and lists them in the folder of the fine-tuning.

    Args:
        run: the run to evaluate.
        config: the labels to use, and the hyperparameters.
        ending: the ending of the name of the results.

    Raises:
        UsageError: if labels are missing, or there are fewer labelled images than replicas.
    """
    train, test = run.labelled_sources("Fine-tuning")
    rows, replicas = _labelled_rows(train, config), run.strategy.num_replicas_in_sync
    name = pathlib.PurePath(config.label_file).stem if config.label_file else f"{100 * config.label_fraction:g}pct"
    name += ending
    batch_size = min(config.finetune_batch_size, len(rows)) // replicas * replicas
    if batch_size == 0:
        raise UsageError(
            f"There must be at least one labelled image for each replica. Received: {len(rows)} images for {replicas} "
            "replicas."
        )
    key = run.key(config, train.fingerprint, rows.tolist(), batch_size)
    directory = run.workdir.root / "finetune" / f"{name}-{key}"
    task = FinetuneTask(name, train, rows, test, batch_size, directory)
    for folder in (directory.parent, directory, directory / "checkpoints"):
        make_way(folder, is_for_folder=True)
    make_folder(directory)
    make_way(task.labelled_path)
    write_text(task.labelled_path, "".join(f"{train.name_of(i)}\n" for i in rows))
    _log.info(f"Fine-tuning on {len(rows)} labelled images of {train.name}; their names are in {task.labelled_path}")
    return task


def fit(run: LoadedRun, config: FinetuneConfig, task: FinetuneTask) -> tuple[Classifier, int]:
    """Trains to the last epoch, from the latest checkpoint of the fine-tuning if there is one.

    Args:
        run: the run to evaluate.
        config: the hyperparameters.
        task: the labelled images, and the folder of the fine-tuning.

    Returns:
        The fine-tuned model, and the step that training was resumed at; 0 if it started anew.

    Raises:
        Stopped: after SIGTERM or Ctrl-C, once the current step is saved.
    """
    with task.counting_seconds():
        labelled = task.train.subset(task.rows)
        order = ShuffledOrder(labelled.num_examples, task.batch_size, config.label_seed)
        model = _compiled_classifier(run, config, labelled.num_classes, order)
        checkpoints = Checkpoints(model, run.strategy, task.directory / "checkpoints", keep=1)
        first_step = checkpoints.restore_latest()
        loop = _training_loop(run, model, labelled, order, checkpoints)
        loop.run(range(first_step // order.steps_per_epoch, config.finetune_epochs))
    return model, first_step


def score(run: LoadedRun, model: Classifier, test: Source) -> tuple[float, float]:
    """Measures the top-1 and top-5 accuracy on the test images, in percent."""
    images = evaluation_dataset(test, run.image_size, run.batch_size)
    hits, count = np.zeros(2), 0
    for features, index in feature_batches(model.backbone, images, run.strategy):
        hits += metrics.count_hits(model.classifier(features), test.known_labels[index])
        count += len(index)
    top1, top5 = metrics.percent(hits, count).tolist()
    return top1, top5


def record(
    run: LoadedRun,
    config: FinetuneConfig,
    task: FinetuneTask,
    *,
    values: dict[str, float],
    seconds: float,
    first_step: int,
    initial_weights: str = "",
) -> None:
    """Adds the accuracies to summary.json, with the settings that produced them.

    Args:
        run: the run that was fine-tuned.
        config: the hyperparameters.
        task: the labelled images, and the folder of the fine-tuning.
        values: the accuracies by name, percent.
        seconds: the duration of the training and of the test.
        first_step: the step that training was resumed at; 0 if it started anew.
        initial_weights: what was taken in place of the run's weights, as a sentence; empty for the run's.
    """
    run.add_records(
        values,
        seconds,
        unit="percent",
        protocol="fine-tuning of backbone and classifier, SGD, cosine",
        label_fraction=len(task.rows) / task.train.num_examples,
        labelled=str(task.labelled_path),
        label_seed=config.label_seed,
        optimizer="sgd",
        base_learning_rate=config.finetune_head_lr,
        learning_rate=scaled_learning_rate(config.finetune_head_lr, task.batch_size),
        backbone_base_learning_rate=config.finetune_backbone_lr,
        backbone_learning_rate=scaled_learning_rate(config.finetune_backbone_lr, task.batch_size),
        weight_decay=config.finetune_weight_decay,
        batch_size=task.batch_size,
        epochs=config.finetune_epochs,
        augmentation=_AUGMENTATION,
        train=task.train.name,
        train_size=len(task.rows),
        test=task.test.name,
        continued_at_step=first_step,
        **({"initial_weights": initial_weights} if initial_weights else {}),
    )
    _log.info(f"Fine-tuned weights in {task.directory}")


def _labelled_rows(train: Source, config: FinetuneConfig) -> np.ndarray:
    """Returns the positions of the labelled images: those listed in a file, all, or a share of each class."""
    if config.label_file:
        return listed_subset(train, config.label_file)
    if config.label_fraction == 1:
        return np.arange(train.num_examples)
    return balanced_subset(train.known_labels, config.label_fraction, config.label_seed)


def _compiled_classifier(run: LoadedRun, config: FinetuneConfig, num_classes: int, order: ShuffledOrder) -> Classifier:
    """Makes the classifier around the run's backbone. Backbone and head have learning rates of their own."""
    total_steps = config.finetune_epochs * order.steps_per_epoch
    with run.strategy.scope():
        model = Classifier(run.backbone, num_classes)
        head_rate, backbone_rate = (
            WarmupCosine(scaled_learning_rate(rate, order.global_batch_size), total_steps)
            for rate in (config.finetune_head_lr, config.finetune_backbone_lr)
        )
        overrides = [(model.backbone.trainable_variables, backbone_rate)]
        model.compile(SGD(head_rate, 0.9, config.finetune_weight_decay, overrides))
        model.optimizer.build(model.trainable_variables)
    return model


def _training_loop(
    run: LoadedRun, model: Classifier, source: Source, order: ShuffledOrder, checkpoints: Checkpoints
) -> TrainingLoop:
    """Makes the training loop, with one random crop of each image as its only view."""
    views, size = (policies.POLICIES[_AUGMENTATION][0],), run.image_size

    def make_dataset(share: Share, start_step: int) -> tf.data.Dataset:
        dataset = pretraining_dataset(source, order, views, size, share, start_step, labelled=True)
        return with_views(dataset, views, size)

    return TrainingLoop(
        model,
        run.strategy,
        make_dataset=make_dataset,
        prepare=lambda batch: batch,
        callbacks=[CollapseMonitor("lower --finetune_backbone_lr or --finetune_head_lr")],
        saver=Saver(checkpoints, 0, _SAVE_EVERY_MINUTES),
        devices=DeviceConfig(),
        order=order,
    )
