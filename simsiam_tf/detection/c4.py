"""Defines the detector of the paper's transfer: Faster R-CNN or Mask R-CNN on the C4 features of a ResNet (Table 5).

The first three stages of the backbone make the feature map. The fourth, res5, runs on each region that is cut out of
it, with one more batch norm after it, as in MoCo's detection. Everything is fine-tuned, batch norm is synchronised over
all replicas, and nothing is frozen.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.detection.anchors import cell_anchors, grid_anchors
from simsiam_tf.detection.canvas import on_canvas
from simsiam_tf.detection.detections import Detections, detections
from simsiam_tf.detection.heads import BoxHead, MaskHead, ProposalHead
from simsiam_tf.detection.losses import box_losses, mask_loss, proposal_losses
from simsiam_tf.detection.masks import mask_targets
from simsiam_tf.detection.proposals import Objects, Proposals, Sampled, propose, sample
from simsiam_tf.detection.roi_align import roi_align
from simsiam_tf.distribute import collectives
from simsiam_tf.errors import check
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.networks.normalization import BatchNormalization
from simsiam_tf.networks.resnet import ResNet

_LOSSES = ("loss_proposal_score", "loss_proposal_box", "loss_class", "loss_box")
_OF_MASKS = "loss_mask"


class Detector(SSLModel):
    """Finds objects, and their masks, in images.

    A batch is a dictionary: `views`, a tuple of one tensor of normalised images `[B, H, W, 3]` at the top left of a
    canvas; `sizes`, height and width of each image `[B, 2]`; `boxes` `[B, G, 4]` and `classes` `[B, G]` of the objects,
    -1 where there is none; `keys` `[B, 2] uint32`, of the random numbers of each image; and, for masks, `masks`
    `[B, G, H, ceil(W / 8)] uint8`, with 8 pixels in a byte.

    Args:
        backbone: the ResNet.
        num_classes: K, the number of classes.
        settings: the settings of the detector, or their values by name.
        **kwargs: further arguments of `SSLModel`.

    Raises:
        ValueError: if the backbone is no ResNet, or there is no class.

    Example:
        >>> import simsiam_tf
        >>> detector = simsiam_tf.Detector(simsiam_tf.resnet18(width=0.125), num_classes=20, settings={"masks": False})
        >>> found, _ = detector.detect(tf.zeros([1, 64, 96, 3]), sizes=tf.constant([[64, 90]]))
        >>> found.boxes.shape  # of 100 detections at most
        TensorShape([1, 100, 4])
    """

    log_names: tuple[str, ...] = _LOSSES
    least_views = 1

    def __init__(
        self,
        backbone: ResNet,
        num_classes: int,
        settings: DetectorConfig | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check(isinstance(backbone, ResNet), "A detector needs a ResNet as its backbone.", type(backbone).__name__)
        check(num_classes >= 1, "num_classes must be at least 1.", num_classes)
        if not isinstance(settings, DetectorConfig):
            # A file of Keras holds lists in the place of tuples.
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in (settings or {}).items()}
            settings = DetectorConfig.from_values(values)
        self.log_names = (*_LOSSES, _OF_MASKS) if settings.masks else _LOSSES
        super().__init__(backbone, **{"name": "detector", **kwargs})
        self.settings, self.num_classes = settings, num_classes
        self.stride = 4 if backbone.cifar_stem else 16
        channels, features = backbone.stages[2][-1].output_dim, backbone.feature_dim
        self.cells = cell_anchors(settings.anchor_sizes, settings.anchor_ratios)
        self.proposal_head = ProposalHead(channels, len(self.cells), name="proposals")
        self.region_norm = BatchNormalization(name="region_bn")
        self.region_norm.build((None, None, None, features))
        self.box_head = BoxHead(features, num_classes, name="box_head")
        self.mask_head = (
            MaskHead(features, settings.mask_channels, num_classes, name="mask_head") if (settings.masks) else None
        )
        self.build()

    def call(self, images: tf.Tensor, training: bool = False) -> Detections:
        """Finds the objects in normalised images `[B, H, W, 3]` without padding."""
        height_and_width = tf.shape(images)[1:3]
        return self.detect(images, tf.broadcast_to(height_and_width, [tf.shape(images)[0], 2]))[0]

    def maps(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        """Computes the feature map C4: `[B, H, W, 3]` to `[B, H / 16, W / 16, C]`, with the CIFAR stem H / 4."""
        x = self.backbone.stem(images, training)
        for number in range(3):
            x = self.backbone.stage(number, x, training)
        return x

    def anchors(self, maps: tf.Tensor) -> tf.Tensor:
        """Makes the anchors of a feature map `[B, H, W, C]`: boxes `[A, 4]` in Keras' floatx."""
        cells = self.cells.astype(keras.config.floatx())
        return grid_anchors(tf.shape(maps)[1], tf.shape(maps)[2], self.stride, cells)

    def regions(self, maps: tf.Tensor, boxes: list[tf.Tensor], training: bool) -> tf.Tensor:
        """Computes the features of regions: RoIAlign, res5, and the batch norm after it.

        Args:
            maps: the feature maps of B images, `[B, H, W, C]`.
            boxes: the regions of each image, B tensors `[R, 4]`.
            training: whether batch norm uses the statistics of the regions.

        Returns:
            `[B R, o / 2, o / 2, D]`, those of the first image first.
        """
        options = self.settings.roi_size, 1 / self.stride, self.settings.sampling_ratio
        cut = [roi_align(maps[i], of_image, *options) for i, of_image in enumerate(boxes)]
        return self.region_norm(self.backbone.stage(3, tf.concat(cut, axis=0), training), training=training)

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes the sum of the losses of proposals, boxes and masks.

        Args:
            batch: a dictionary with `views`, `sizes`, `boxes`, `classes`, `keys` and, for masks, `masks`. The docstring
                of the class gives their shapes.
            training: whether batch norm uses the statistics of the batch.

        Returns:
            The loss, a scalar, and each of its parts by name.
        """
        maps = self.maps(batch["views"][0], training)
        anchors, (logits, deltas) = self.anchors(maps), self.proposal_head(maps)
        proposals = propose(logits, deltas, anchors, batch["sizes"], self.settings, training=True)
        chosen = self.sample(batch, proposals, anchors)
        sampled = chosen.anchor_labels, chosen.anchor_objects
        losses = [*proposal_losses(logits, deltas, anchors, *sampled, self.settings.anchors_per_image)]
        features = self.regions(maps, chosen.regions, training)
        regions = tf.concat(chosen.regions, axis=0)
        scores, moves = self.box_head(features)
        losses += box_losses(scores, moves, regions, chosen.classes, chosen.objects)
        if self.mask_head is not None:
            losses.append(self._mask_loss(batch, chosen, features, regions))
        return tf.add_n(losses), dict(zip(self.log_names, losses, strict=True))

    def sample(self, batch: dict[str, Any], proposals: Proposals, anchors: tf.Tensor) -> Sampled:
        """Chooses the anchors and regions to train on; the same ones whenever the images' keys are the same."""
        objects = Objects(tf.cast(batch["boxes"], anchors.dtype), batch["classes"])
        return sample(proposals, objects, anchors, batch["keys"], self.num_classes, self.settings)

    def _mask_loss(self, batch: dict[str, Any], chosen: Sampled, features: tf.Tensor, regions: tf.Tensor) -> tf.Tensor:
        """Computes the loss of the masks of the regions that are objects."""
        assert self.mask_head is not None
        masked = chosen.masked[:, tf.newaxis]
        # By gather_nd, whose gradient is a whole tensor, to be added to that of the boxes.
        of_masks, classes, boxes = (tf.gather_nd(x, masked) for x in (features, chosen.classes, regions))
        is_object, masks = classes < self.num_classes, batch["masks"]
        every = tf.reshape(masks, [-1, *tf.unstack(tf.shape(masks)[2:])])
        targets = mask_targets(
            every, chosen.masks, tf.gather(batch["sizes"], chosen.images), boxes, self.settings.roi_size
        )
        # The mean is over the objects of all replicas, so that it does not hang on how many there are on each.
        count = collectives.all_reduce_mean(tf.reduce_sum(tf.cast(is_object, boxes.dtype)))
        return mask_loss(self.mask_head(of_masks), classes, targets, is_object, count)

    def detect(self, images: tf.Tensor, sizes: tf.Tensor) -> tuple[Detections, tf.Tensor | None]:
        """Finds the objects in images on a canvas.

        Args:
            images: normalised images, `[B, H, W, 3]`.
            sizes: height and width of each image on its canvas, `[B, 2]`.

        Returns:
            The detections, in pixels of the canvas; and the probabilities of the mask of each, `[B, D, M, M]`, or
            `None` if the detector has no masks.
        """
        maps, batch = self.maps(images, False), images.shape[0]
        anchors, (logits, deltas) = self.anchors(maps), self.proposal_head(maps)
        proposals = propose(logits, deltas, anchors, sizes, self.settings, training=False)
        features = self.regions(maps, tf.unstack(proposals.boxes, batch), False)
        scores, moves = (tf.reshape(x, [batch, -1, x.shape[-1]]) for x in self.box_head(features))
        found = detections(scores, moves, proposals.boxes, proposals.live, sizes, self.settings)
        if self.mask_head is None:
            return found, None
        logits = self.mask_head(self.regions(maps, tf.unstack(found.boxes, batch), False))
        of_class = tf.reshape(tf.maximum(found.classes, 0), [-1])
        own = tf.gather(tf.transpose(logits, [0, 3, 1, 2]), of_class, batch_dims=1)
        return found, tf.nn.sigmoid(tf.reshape(own, [batch, -1, *own.shape[1:]]))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor and the arithmetic, for serialisation."""
        return {**super().get_config(), "settings": self.settings.values()}


def normalised(batch: dict[str, Any]) -> dict[str, Any]:
    """Normalises the images of a batch, on the device, right before the training step.

    Args:
        batch: a dictionary that has `images`, pixels from 0 to 255 `[B, H, W, 3] uint8`, and no `views`. Its other
            entries are those that the docstring of `Detector` lists.

    Returns:
        The batch with `views`.
    """
    rest = {name: value for name, value in batch.items() if name != "images"}
    return {**rest, "views": (on_canvas(batch["images"], batch["sizes"]),)}
