"""Declares the settings of the detector: Faster R-CNN, or Mask R-CNN, on the C4 features of a ResNet."""

import dataclasses

from simsiam_tf.config.fields import Integers, Numbers, SettingsGroup, option
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class DetectorConfig(SettingsGroup):
    """Detector (R50-C4, as the paper's transfer).

    Attributes:
        anchor_sizes: the square roots of the anchors' areas, pixels.
        anchor_ratios: the anchors' heights divided by their widths.
    """

    masks: bool = option(
        True, "Predict masks too, where the data set has them (Mask R-CNN); otherwise boxes alone (Faster R-CNN)."
    )
    anchor_sizes: Numbers = option((32.0, 64.0, 128.0, 256.0, 512.0), "Square roots of the areas of anchors, pixels.")
    anchor_ratios: Numbers = option((0.5, 1.0, 2.0), "Heights of anchors divided by their widths.")
    proposals_before_nms: Integers = option(
        (12000, 6000), "Number of anchors with the best scores that become proposals, in training and in evaluation."
    )
    proposals_after_nms: Integers = option(
        (2000, 1000), "Number of proposals that are left once overlapping ones are removed, in training and evaluation."
    )
    proposal_nms: float = option(0.7, "IoU that two proposals may have at most.")
    anchors_per_image: int = option(256, "Anchors of each image that a step trains the proposals on.", positive=True)
    rois_per_image: int = option(512, "Regions of each image that a step trains the box head on.", positive=True)
    foreground_rois: float = option(0.25, "Largest part of the regions that are objects; half for the anchors.")
    roi_size: int = option(14, "Side of the feature map that is cut out of each region.")
    sampling_ratio: int = option(
        0, "Samples in a bin of RoIAlign along each axis; 0: as many as the bin has places of the map."
    )
    mask_channels: int = option(256, "Channels inside the mask head.", positive=True)
    score_threshold: float = option(0.05, "Least score of a detection.")
    detection_nms: float = option(0.5, "IoU that two detections of one class may have at most.")
    detections_per_image: int = option(100, "Greatest number of detections in an image.", positive=True)

    def validate(self) -> None:
        """Checks that there are anchors, that pairs are pairs, and the range of every share."""
        for name in ("anchor_sizes", "anchor_ratios"):
            values = getattr(self, name)
            check(bool(values) and all(x > 0 for x in values), f"--{name} must be positive numbers.", values or "none")
        for name in ("proposals_before_nms", "proposals_after_nms"):
            values = getattr(self, name)
            check(len(values) == 2 and all(x > 0 for x in values), f"--{name} must be two positive numbers.", values)
        for name in ("proposal_nms", "detection_nms", "score_threshold"):
            check(getattr(self, name) < 1, f"--{name} must be below 1.", getattr(self, name))
        check(0 < self.foreground_rois <= 1, "--foreground_rois must be above 0 and at most 1.", self.foreground_rois)
        check(self.anchors_per_image >= 2, "--anchors_per_image must be at least 2.", self.anchors_per_image)
        check(self.rois_per_image * self.foreground_rois >= 1, "--rois_per_image is too small.", self.rois_per_image)
        check(self.roi_size >= 2 and self.roi_size % 2 == 0, "--roi_size must be even.", self.roi_size)
