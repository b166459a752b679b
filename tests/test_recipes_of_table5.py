"""The recipes of Table 5 have the settings that its numbers were made with."""

import re

import pytest

from simsiam_tf.reproduce.table5_rows import TRANSFER_SIZES
from simsiam_tf.training.detector_factory import metric_of
from tests.test_recipes import OPTIMAL, PAPER, SIZES, TRANSFERS, config_of, transfer_of


def test_the_size_of_the_built_in_images_multiplies_the_rates_too():
    """So that the two rows of Table 5 differ at this size as they do on ImageNet."""
    size = f"--flagfile={SIZES / 'made.flags'}"
    base, optimal = config_of(PAPER / "table5_base.flags", size), config_of(OPTIMAL, size)
    rates = [(c.optimizer.base_learning_rate, c.optimizer.weight_decay) for c in (base, optimal)]
    assert rates == [(0.2, 5e-4), (2.0, 5e-5)]
    assert (base.data.global_batch_size, base.run.epochs, base.run.knn_every_epochs) == (64, 60, 0)
    heads = base.model.of_method
    assert (heads.projector_layers, heads.projector_dim, heads.predictor_dim) == (2, 512, 128)
    assert (base.data.dataset, base.data.image_size, base.optimizer.predictor_lr) == ("made", 96, "constant")
    on_imagenet = config_of(OPTIMAL, f"--flagfile={SIZES / 'imagenet.flags'}").optimizer
    assert (on_imagenet.base_learning_rate, on_imagenet.weight_decay) == (0.5, 1e-5)


VOC_SIDES, COCO_SIDES = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800), (640, 672, 704, 736, 768, 800)
BOTH_YEARS = "2007_trainval+2012_trainval"


@pytest.mark.parametrize(
    ("name", "schedule", "sides", "splits", "metric"),
    [
        ("voc07", (24000, (18000, 22000), 100), VOC_SIDES, ("2007_trainval", "2007_test"), "voc07"),
        ("voc0712", (24000, (18000, 22000), 100), VOC_SIDES, (BOTH_YEARS, "2007_test"), "voc07"),
        ("coco", (90000, (60000, 80000), 1000), COCO_SIDES, ("train2017", "val2017"), "coco"),
    ],
)
def test_the_transfers_settings_are_those_of_table_5(name, schedule, sides, splits, metric):
    """As the recipes' headers cite them."""
    config = transfer_of(TRANSFERS / f"{name}.flags")
    optimizer, data = config.optimizer, config.data
    assert (config.run.steps, optimizer.milestones, optimizer.warmup_steps) == schedule
    rates = (optimizer.learning_rate, optimizer.weight_decay, optimizer.sgd_momentum)
    assert (*rates, data.global_batch_size) == (0.02, 1e-4, 0.9, 16)
    assert (data.sides, data.evaluation_side, data.long_side) == (sides, 800, 1333)
    assert (data.split("train"), data.split("eval"), metric_of(config)) == (*splits, metric)
    assert (config.backbone.arch, config.backbone.width, config.backbone.stem) == ("resnet50", 1.0, "imagenet")
    detector = config.detector
    anchors = (detector.anchor_sizes, detector.anchor_ratios, detector.anchors_per_image)
    assert anchors == ((32, 64, 128, 256, 512), (0.5, 1, 2), 256)
    proposals = (detector.proposals_before_nms, detector.proposals_after_nms, detector.rois_per_image)
    assert proposals == ((12000, 6000), (2000, 1000), 512)
    assert config.run.precise_bn_batches == 200
    assert config.recipe == name


def test_every_transfer_is_a_size_of_table_5_and_names_the_other_layout_of_its_data():
    assert {path.stem for path in TRANSFERS.glob("*.flags")} == set(TRANSFER_SIZES)
    for name in ("voc07", "coco"):
        text = " ".join((TRANSFERS / f"{name}.flags").read_text().replace("#", "").split())
        flags = re.search(r"With TFDS: ((?:--\S+ )+)after", text)[1].split()
        data = transfer_of(TRANSFERS / f"{name}.flags", *flags).data
        assert data.is_tfds
