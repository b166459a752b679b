"""Makes the detector of a run of transfer.py: its network from the weights, its optimizer, its order of images."""

import dataclasses
from typing import Any

import tensorflow as tf

from simsiam_tf.config.transfer import NO_WEIGHTS, TransferConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.data.objects.order import training_order
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.detection import Detector
from simsiam_tf.detection.measuring import Metric
from simsiam_tf.errors import UsageError
from simsiam_tf.files import user_path
from simsiam_tf.interop.given import Given
from simsiam_tf.interop.layouts import describe_backbone
from simsiam_tf.networks import BACKBONES
from simsiam_tf.optim import SGD, WarmupSteps
from simsiam_tf.training.data_record import has_checkpoints
from simsiam_tf.training.given_weights import open_given
from simsiam_tf.training.transfer_workdir import TransferWorkdir, is_transfer


def open_weights(config: TransferConfig) -> Given | None:
    """Opens the weights that the backbone begins with; `None` for random ones, or if the run has begun already.

    Args:
        config: the settings of the run.

    Raises:
        UsageError: if there are no weights, or they are damaged or of no kind that is known.
    """
    path = config.backbone.backbone
    if is_transfer(path):
        raise UsageError(
            "--backbone must hold the weights of a backbone: a run of train.py or a file, not a run of transfer.py. "
            f"Received: {path}."
        )
    if path == NO_WEIGHTS or has_checkpoints(user_path(config.run.workdir)):
        return None
    try:
        return open_given(path)
    except UsageError as error:  # which names the flag of train.py
        raise UsageError(str(error).replace("--init_weights", "--backbone")) from error


def with_network_of(config: TransferConfig, given: Given | None) -> TransferConfig:
    """Returns the settings with the architecture that the weights tell, or that a begun run has.

    Args:
        config: the settings of the run.
        given: the weights, from `open_weights`.

    Raises:
        UsageError: if the weights are not those of a ResNet.
    """
    if config.backbone.backbone == NO_WEIGHTS:
        return config
    if given is None:  # the run has begun, so that its folder tells
        begun = TransferWorkdir.open_existing(config.run.workdir)
        theirs = begun.config().backbone
        network: dict[str, Any] = {"arch": theirs.arch, "width": theirs.width, "stem": theirs.stem}
    else:
        found = describe_backbone(given.backbone)
        if found is None:
            raise UsageError(f"--backbone must hold the weights of a ResNet. Received: {given.origin}.")
        arch, width, cifar_stem = found
        network = {"arch": arch, "width": width, "stem": "cifar" if cifar_stem else "imagenet"}
    return dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, **network))


def make_detector(config: TransferConfig, num_classes: int, has_masks: bool) -> Detector:
    """Makes the detector of a run, with random weights.

    Args:
        config: the settings of the run, with the architecture of the backbone.
        num_classes: the number of classes.
        has_masks: whether the data set has masks.
    """
    network = config.backbone
    backbone = BACKBONES[network.arch](cifar_stem=network.stem == "cifar", width=network.width)
    settings = dataclasses.replace(config.detector, masks=config.detector.masks and has_masks)
    return Detector(backbone, num_classes, settings)


def make_compiled_detector(config: TransferConfig, num_classes: int, has_masks: bool) -> Detector:
    """Makes a detector and its optimizer, with all their variables, in the scope of the run's strategy.

    Args:
        config: the settings of the run, with the architecture of the backbone.
        num_classes: the number of classes.
        has_masks: whether the data set has masks.
    """
    detector, settings = make_detector(config, num_classes, has_masks), config.optimizer
    # Detectron2, with which the paper's numbers were made, does not decay the scales and offsets of batch norm.
    undecayed = [v for v in detector.norms_and_biases if v.path.endswith(("gamma", "beta"))]
    optimizer = SGD(
        WarmupSteps(settings.learning_rate, settings.milestones, settings.warmup_steps),
        settings.sgd_momentum,
        settings.weight_decay,
        scale_loss=config.devices.precision == "float16",
        undecayed=undecayed,
    )
    detector.compile(optimizer)
    optimizer.build(detector.trainable_variables)
    detector.accumulate_over(config.devices.accumulate_steps)
    return detector


def open_images(config: TransferConfig) -> tuple[AnnotatedImages, AnnotatedImages]:
    """Opens the images to train on, and those to evaluate on with the same class numbers.

    Args:
        config: the settings of the run.

    Raises:
        UsageError: if there is no such data set, or it cannot be used.
    """
    masks = config.detector.masks
    everything = open_annotated(config.data, "train", masks=masks)
    test = open_annotated(config.data, "eval", config.run.eval_examples, masks).numbered_by(everything.classes)
    return everything.to_train(), test if everything.has_masks else test.without_masks()


def order_of(config: TransferConfig, training: AnnotatedImages) -> ShuffledOrder:
    """Returns the order of the training images; its epochs are the periods of metrics.jsonl.

    Args:
        config: the settings of the run.
        training: the images to train on.

    Raises:
        UsageError: if there are fewer images than a step takes.
    """
    order = training_order(training, config.data, config.run.seed)
    return dataclasses.replace(order, epoch_steps=config.run.log_every_steps)


def metric_of(config: TransferConfig) -> Metric:
    """Returns the measure of a run: its own, or that of its data set.

    Detectron2 measures VOC 2007 with 11 points of the recall, and other years by the area.
    """
    if config.run.metric != "auto":
        return config.run.metric
    dataset = config.data.dataset
    if not config.data.is_voc:
        return "coco"
    if config.data.is_tfds:  # which takes 2007 if no year is named
        return "voc12" if "2012" in dataset else "voc07"
    return "voc07" if "2007" in config.data.split("eval") else "voc12"


def on_tpu(strategy: tf.distribute.Strategy, config: TransferConfig) -> TransferConfig:
    """Returns the settings with one size of batches on a TPU, which compiles a program for one size."""
    if not isinstance(strategy, tf.distribute.TPUStrategy):
        return config
    return dataclasses.replace(config, data=dataclasses.replace(config.data, canvases="one"))
