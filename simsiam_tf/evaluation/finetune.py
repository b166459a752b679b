"""Fine-tuning the whole network on labels, all of them or a few (as SimCLR's 1 % and 10 %)."""

import contextlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.callbacks.health_check import HealthCheck
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import FinetuneConfig
from simsiam_tf.data.pipeline import Order, evaluation_dataset, pretraining_dataset, with_views
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.label_subsets import balanced_subset, listed_subset
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import feature_batches
from simsiam_tf.files import write_json
from simsiam_tf.methods import SSLModel
from simsiam_tf.networks.heads import make_classifier
from simsiam_tf.optim import SGD, WarmupCosine, scaled_learning_rate
from simsiam_tf.training.checkpoints import Checkpoints, Saver
from simsiam_tf.training.loop import TrainingLoop

_AUGMENTATION = "linear_train"
_SAVE_EVERY_MINUTES = 10.0


class Classifier(SSLModel):
    """The backbone and a linear classifier on it, trained together: the same loop, with cross-entropy for a loss.

    Args:
        backbone: images `[B, H, W, 3]` to features `[B, D]`.
        num_classes: K.
    """

    log_names = ("top1",)

    def __init__(self, backbone, num_classes: int, **kwargs):
        super().__init__(backbone, **kwargs)
        self.classifier = make_classifier(self.feature_dim, num_classes)
        self.build()

    def compute_ssl_loss(self, batch, training):
        """Cross-entropy of the one view with its `labels`, and the accuracy on it in percent."""
        (features,) = self.features(batch, training)
        logits, labels = self.classifier(features), batch["labels"]  # [B, K]
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        hits = tf.cast(metrics.top_k_hits(logits, labels, 1), loss.dtype)
        return loss, {"top1": 100.0 * tf.reduce_mean(hits)}


def run_finetuning(subject: Subject, config: FinetuneConfig) -> None:
    """Fine-tunes on the labelled images and records the accuracy on the test images; goes on where it was stopped.

    The names of the labelled images, and the fine-tuned weights, stay in a folder of their own in the workdir.

    Args:
        subject: what is judged; its backbone is changed, its checkpoint is not.
        config: which labels, and how.

    Raises:
        UsageError: if labels are lacking, or the batch cannot be divided.
        Stopped: after SIGTERM or Ctrl-C, once the step is saved.
    """
    train, test = subject.labelled_sources("Fine-tuning")
    rows = _labelled_rows(train, config)
    which = pathlib.Path(config.label_file).stem if config.label_file else f"{100 * config.label_fraction:g}pct"
    labelled, replicas = train.subset(rows), subject.strategy.num_replicas_in_sync
    batch = min(config.finetune_batch_size, len(rows)) // replicas * replicas
    if batch == 0:
        raise UsageError(f"There must be a labelled image for each replica. Received: {len(rows)} for {replicas}.")
    key = subject.key(config, train.fingerprint, rows.tolist(), batch)
    directory = subject.workdir.root / "finetune" / f"{which}-{key}"
    directory.mkdir(parents=True, exist_ok=True)
    names = "".join(f"{train.name_of(i)}\n" for i in rows)
    (directory / "labelled.txt").write_text(names, encoding="utf-8", errors="surrogateescape")
    print(f"Fine-tuning on {len(rows)} labelled images of {train.name}; their names are in {directory}/labelled.txt")
    with _counting_seconds(directory / "seconds.json") as seconds_so_far:
        model, first_step = _train(subject, config, labelled, batch, directory)
    start = time.monotonic()
    top1, top5 = _accuracy(subject, model, test)
    values = {f"finetune_{which}_top1": top1, f"finetune_{which}_top5": top5}
    subject.add_records(
        values,
        seconds_so_far() + time.monotonic() - start,
        unit="percent",
        protocol="fine-tuning of backbone and classifier, SGD, cosine",
        label_fraction=len(rows) / train.num_examples,
        labelled=str(directory / "labelled.txt"),
        label_seed=config.label_seed,
        optimizer="sgd",
        base_learning_rate=config.finetune_head_lr,
        learning_rate=scaled_learning_rate(config.finetune_head_lr, batch),
        backbone_base_learning_rate=config.finetune_backbone_lr,
        backbone_learning_rate=scaled_learning_rate(config.finetune_backbone_lr, batch),
        weight_decay=config.finetune_weight_decay,
        batch_size=batch,
        epochs=config.finetune_epochs,
        augmentation=_AUGMENTATION,
        train=train.name,
        train_size=len(rows),
        test=test.name,
        continued_at_step=first_step,
    )
    print(f"Fine-tuned weights in {directory}")


@contextlib.contextmanager
def _counting_seconds(file: pathlib.Path) -> Iterator[Callable[[], float]]:
    """Adds the seconds of the `with` block to those in a file, however it ends; gives their sum."""

    def so_far():
        return json.loads(file.read_text()) if file.exists() else 0.0

    start = time.monotonic()
    try:
        yield so_far
    finally:
        write_json(file, so_far() + time.monotonic() - start)


def _labelled_rows(train: Source, config: FinetuneConfig) -> np.ndarray:
    if config.label_file:
        return listed_subset(train, config.label_file)
    if config.label_fraction == 1:
        return np.arange(train.num_examples)
    return balanced_subset(train.known_labels, config.label_fraction, config.label_seed)


def _train(subject: Subject, config: FinetuneConfig, source: Source, batch: int, directory: pathlib.Path):
    """The fine-tuned model, and the step that it went on from."""
    order = Order(source.num_examples, batch, config.label_seed)
    steps, strategy = order.steps_per_epoch, subject.strategy
    total = config.finetune_epochs * steps
    with strategy.scope():
        model = Classifier(subject.backbone, source.num_classes)
        rates = [
            WarmupCosine(scaled_learning_rate(rate, batch), total)
            for rate in (config.finetune_head_lr, config.finetune_backbone_lr)
        ]
        overrides = [(model.backbone.trainable_variables, rates[1])]
        model.compile(SGD(rates[0], 0.9, config.finetune_weight_decay, overrides))
        model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(model, strategy, directory / "checkpoints", keep=1)
    checkpoints_step = checkpoints.restore_latest()
    views, size = (policies.POLICIES[_AUGMENTATION][0],), subject.image_size

    def make_dataset(share: Share, start_step: int):
        dataset = pretraining_dataset(source, order, views, size, share, start_step, labelled=True)
        return with_views(dataset, views, size)

    loop = TrainingLoop(
        model,
        strategy,
        make_dataset=make_dataset,
        prepare=lambda batch: batch,
        callbacks=[HealthCheck("lower --finetune_backbone_lr or --finetune_head_lr")],
        saver=Saver(checkpoints, 0, _SAVE_EVERY_MINUTES),
        devices=DeviceConfig(),
        order=order,
    )
    loop.run(range(checkpoints_step // steps, config.finetune_epochs))
    return model, checkpoints_step


def _accuracy(subject: Subject, model: Classifier, test: Source) -> tuple[float, float]:
    """Top-1 and top-5 on the test images, percent."""
    images = evaluation_dataset(test, subject.image_size, subject.batch_size)
    hits, count = np.zeros(2), 0
    for features, index in feature_batches(model.backbone, images, subject.strategy):
        hits += metrics.count_hits(model.classifier(features), test.known_labels[index])
        count += len(index)
    top1, top5 = metrics.percent(hits, count).tolist()
    return top1, top5
