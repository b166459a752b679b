"""What Table 5 refuses, before anything is run."""

import pytest

from flags import definitions
from simsiam_tf.errors import UsageError
from simsiam_tf.reproduce import table5
from simsiam_tf.reproduce.config import SIZES, ReproduceConfig
from tests.reproduce.conftest import OF_COCO


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"--experiment=table5 needs one of the sizes made, voc07, voc0712, coco\. Received: cifar10_small\."),
        ({"size": "imagenet"}, r"needs one of the sizes .* Received: imagenet\."),
        ({"size": "made", "rows": ("simsiam",)}, r"--rows of --size=made are scratch, simclr.* Received: simsiam\."),
        ({"size": "made", "rows": ("supervised",)}, r"--rows of --size=made are .* Received: supervised\."),
        ({"size": "coco", "rows": ("supervised",)}, r"The row supervised needs --supervised .* Received: no"),
        ({"size": "coco", "rows": ("byol",), "supervised": "w"}, r"--supervised goes with the row .* Received: w\."),
        ({"size": "made", "supervised": "w"}, r"--supervised goes with the row .* Received: w\."),
        ({"size": "made", "probe": "cached"}, r"measures no linear probe.* Received: cached\."),
        ({"size": "made", "reference_seeds": 3}, r"the same number of seeds.* Received: --reference_seeds=3\."),
        ({"experiment": "fig2", "size": "made"}, r"--size=made belongs to --experiment=table5; .* Received: .*fig2\."),
        ({"experiment": "all", "size": "coco"}, r"--size=coco belongs to --experiment=table5; .* Received: .*all\."),
        ({"experiment": "fig2", "rows": ("scratch",)}, r"--rows needs --experiment=table5\."),
        ({"experiment": "fig2", "transfer_flags": "--steps=1"}, r"--transfer_flags needs --experiment=table5\."),
        ({"experiment": "fig2", "supervised": "w"}, r"--supervised needs --experiment=table5\. Received: w\."),
    ],
)
def test_table_5_has_sizes_and_flags_of_its_own(settings, message):
    with pytest.raises(UsageError, match=message):
        ReproduceConfig(**{"experiment": "table5", **settings})


def test_all_leaves_table_5_out():
    for size in SIZES:
        assert "table5" not in ReproduceConfig("all", size).experiments
    assert ReproduceConfig("table5", "made").experiments == ["table5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--seed=3", r"--seed is set for each run; leave it out of --transfer_flags\. Received: --seed=3\."),
        ("--steps=300 --workdir=w", r"--workdir is set for each run"),
        ("--backbone=none", r"--backbone is set for each run"),
        ("--steps 300", r"each as --name=value or --name\. Received: 300\."),
        ("-steps=300", r"each as --name=value or --name\. Received: -steps=300\."),
        ("--data_dir='a b", r"must close its quotation marks .* Received: --data_dir='a b\."),
    ],
)
def test_flags_of_transfer_that_cannot_be_passed_on_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        table5.flags_of(text)


def test_flags_of_transfer_are_split_as_a_shell_does():
    assert table5.flags_of("--data_dir='a b' --nodownload") == ["--data_dir=a b", "--nodownload"]
    assert table5.flags_of("") == []


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        ("voc07", {}, "transfer.py refuses its flags, to which --transfer_flags adds: --dataset=voc needs --data_dir"),
        ("made", {"flags": ("--epochs=3",)}, "Unknown command line flag 'epochs'"),
        ("made", {"flags": ("--steps=301",)}, "--steps must be a multiple of --log_every_steps"),
        ("made", {"extra": ("--base_learning_rate=1",)}, "--base_learning_rate is set by the recipe table5_optimal"),
        ("coco", {"flags": OF_COCO, "supervised": "nowhere.pth"}, "--supervised must be a file of weights.*nowhere"),
    ],
)
def test_a_mistake_shows_before_the_first_run(plan_transfers, size, options, message):
    with pytest.raises(UsageError, match=message):
        plan_transfers(size, **options)


def test_the_flags_of_transfer_leave_those_of_the_command_as_they_are():
    before = definitions.training_config_of(["--seed=7", "--workdir=w"])
    of_transfer = definitions.transfer_config_of(["--backbone=none", "--workdir=w", "--seed=3", "--arch=resnet18"])
    assert (of_transfer.run.seed, of_transfer.backbone.arch, of_transfer.recipe) == (3, "resnet18", "custom")
    assert definitions.training_config_of(["--seed=7", "--workdir=w"]) == before
    assert definitions.transfer_config_of(["--backbone=none", "--workdir=w"]).run.seed == 0
    with pytest.raises(UsageError, match=r"Arguments must be flags, as --name=value\. Received: made\."):
        definitions.transfer_config_of(["--backbone=none", "--workdir=w", "made"])
