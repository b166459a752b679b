"""Every recipe parses, is valid, and says what it is."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from flags import definitions
from simsiam_tf.cli.command_line import parse_flags
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.reproduce.experiments import EXPERIMENTS
from simsiam_tf.reproduce.table5_rows import ROWS, TRANSFER_SIZES
from simsiam_tf.reproduce.verdicts import CLAIMS
from simsiam_tf.training import factory as build
from tests.conftest import ROOT

EVERY = sorted((ROOT / "flags" / "recipes").rglob("*.flags"))
# Those of transfer.py have other flags than those of train.py.
TRANSFERS = [path for path in EVERY if path.parent.name == "transfer"]
RECIPES = [path for path in EVERY if path not in TRANSFERS]
PAPER, SIZES, ORIGINALS = (ROOT / "flags" / "recipes" / name for name in ("paper", "size", "authors"))
# Of Table 4, rows that differ from one that is tried in their number of epochs, and BYOL's in the average's momentum.
LONGER = {
    path for path in PAPER.glob("table4_*_epochs_*.flags") if path.stem.count("_") > 2 and "_100" not in path.stem
}


def config_of(path: pathlib.Path, *overrides: str):
    return definitions.training_config_of([f"--flagfile={path}", *overrides, "--workdir=w"])


@pytest.fixture
def transfer_of(monkeypatch):
    """The settings of a recipe of transfer.py, whose flags are defined apart from those of train.py."""

    def parsed(path):
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
        definitions.define_transfer_flags()
        arguments = ["", f"--flagfile={path}", "--backbone=none", "--workdir=w", *DATA.get(path.stem, ())]
        parse_flags(arguments)
        return definitions.transfer_config(arguments)

    return parsed


DATA = {name: ["--data_dir=data"] for name in ("voc07", "voc0712", "coco")}


def parse(path: pathlib.Path, *overrides: str) -> dict:
    return config_of(path, *overrides).to_dict()


@pytest.fixture(autouse=True)
def root_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.stem}-{path.stem}")
def test_parses_and_its_header_says_command_hardware_time_and_number(path, transfer_of):
    transfer_of(path) if path in TRANSFERS else parse(path)
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    text = "\n".join(header).lower()
    for word in ("command:", "hardware:", "time:", "expected:"):
        assert word in text, f"{path.name}: no '{word}' in its header"


TINY = ["--width=0.0625", "--image_size=8", "--head_scale=0.05", "--batch_scale=0.0156", "--epochs_scale=0.1"]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted({*PAPER.glob("*.flags")} - LONGER), ids=lambda path: path.stem)
def test_every_row_of_the_paper_takes_three_steps(path, rng):
    """At a size, as the command has it, and a tiny one on top; nothing but the recipe's own difference is left out."""
    # Without decay, which moves weights by itself.
    config = config_of(path, f"--flagfile={SIZES / 'cifar10_small.flags'}", *TINY, "--weight_decay=0")
    n = config.data.global_batch_size
    assert n == max(2, round(config_of(path).data.global_batch_size * 0.0156))
    order = ShuffledOrder(4 * n, n, 0)
    model = build.make_compiled_model(config, order.steps_per_epoch)
    build.make_target_table(model, order)
    before = [v.numpy() for v in model.backbone.trainable_variables]
    batches = []
    for step in range(3):
        views = tuple(tf.constant(rng.standard_normal((n, 8, 8, 3)), tf.float32) for _ in build.view_policies(config))
        positions = tf.range(n * step, n * step + n, dtype=tf.int64)
        batches.append({"views": views, "index": positions, "position": positions})
    if model.targets is not None and model.targets.lookahead_window(0):
        for batch in batches:
            model.targets.precompute(model, batch)
    losses = [float(model.train_step(batch)["loss"]) for batch in batches]
    assert all(np.isfinite(losses))
    moved = max(np.abs(v.numpy() - b).max() for v, b in zip(model.backbone.trainable_variables, before, strict=True))
    assert moved > 1e-3 * float(model.optimizer.learning_rate)


def test_every_recipe_of_the_paper_is_a_run_of_its_own_or_a_known_equal():
    runs = {}
    for path in PAPER.glob("*.flags"):
        runs.setdefault(str(config_of(path).identity()), set()).add(path.stem)
    equal = sorted(sorted(stems) for stems in runs.values() if len(stems) > 1)
    constant = ["appb_dim_2048", "table1c_predictor_constant_lr", "table2_batch_512", "table3c_bn_release"]
    plain = ["sec52_eta_plain", "table1a_predictor_identity"]
    base = ["table4_epochs_200", "table5_base"]
    assert equal == [constant, plain, ["table2_batch_256", "table4_epochs_100"], base]


def test_a_size_leaves_what_the_recipes_set():
    """Else a row would silently become another one."""

    def names(folder, but=()):
        paths = [path for path in folder.glob("*.flags") if path.stem not in but]
        lines = [line for path in paths for line in path.read_text().splitlines()]
        return {line.lstrip("-").partition("=")[0].removeprefix("no") for line in lines if line.startswith("--")}

    # Table 5 is repeated at the sizes imagenet and made alone, which leave its rate and its decay. No other experiment
    # has the size made, which would undo those of BYOL in App. D.
    optimal, byol, others = "table5_optimal", "appd_byol_lower_rate", ("cifar10", "cifar10_small", "shapes")
    assert names(PAPER, (optimal, byol)) & names(SIZES) == {"dataset"}
    assert names(PAPER, (byol,)) & names(SIZES, others) == {"dataset"}
    assert names(PAPER, (optimal,)) & names(SIZES, ("made",)) == {"dataset"}
    assert names(PAPER, (optimal,)) & names(ORIGINALS) == {
        "global_batch_size",
        "warmup_epochs",
    }  # SimSiam's rows set these
    for row in (row for experiment in EXPERIMENTS.values() for row in experiment.rows if row.original):
        text = (PAPER / f"{row.recipe}.flags").read_text()
        assert "--global_batch_size" not in text
        assert "--warmup_epochs" not in text


def test_a_size_multiplies():
    config = config_of(PAPER / "table2_batch_1024.flags", f"--flagfile={SIZES / 'cifar10_small.flags'}")
    assert (config.data.global_batch_size, config.run.epochs, config.optimizer.warmup_epochs) == (256, 5, 0.5)
    assert (config.model.of_method.projector_dim, config.model.of_method.predictor_dim) == (512, 128)
    assert config.recipe == "table2_batch_1024+cifar10_small"
    model = config_of(
        PAPER / "table4_mocov2_epochs_100.flags", f"--flagfile={SIZES / 'cifar10_small.flags'}"
    ).model.of_method
    assert (model.queue_size, model.projector_dim) == (4096, 32)
    model = config_of(
        PAPER / "table4_swav_epochs_100.flags", f"--flagfile={SIZES / 'cifar10_small.flags'}"
    ).model.of_method
    assert (model.queue_size, model.num_prototypes, model.freeze_prototypes_epochs) == (0, 94, 0.05)


def test_simclr_of_app_d_has_simsiam_s_encoder():
    """And rates, batch and views, which the size says."""
    size = f"--flagfile={SIZES / 'cifar10.flags'}"
    theirs, ours = (config_of(PAPER / f"{row.recipe}.flags", size) for row in EXPERIMENTS["appd"].rows[:2])
    same = ("projector_dim", "projector_layers", "projector_hidden_dim", "bn_placement", "arch", "width")
    assert ours.model.method == "simclr"
    assert [ours.model.values()[name] for name in same] == [theirs.model.values()[name] for name in same]
    assert (ours.optimizer, ours.data, ours.augment) == (theirs.optimizer, theirs.data, theirs.augment)


@pytest.mark.parametrize("size", ["cifar10", "cifar10_small", "shapes"])
def test_byol_at_the_lower_rate_takes_steps_of_sgd_as_long_as_simsiam_s(size):
    """Its loss, and so its gradient g, is 4 times SimSiam's: lr / 4 * (4 g + 4 wd * w) = lr * (g + wd * w)."""
    names = ("table1c_predictor_constant_lr", "appd_byol_lower_rate")
    simsiam, byol = (config_of(PAPER / f"{name}.flags", f"--flagfile={SIZES / f'{size}.flags'}") for name in names)
    assert byol.model.method == "byol" and byol.optimizer.optimizer == "sgd"
    assert byol.optimizer.base_learning_rate * 4 == simsiam.optimizer.base_learning_rate
    assert byol.optimizer.weight_decay == simsiam.optimizer.weight_decay * 4
    assert (byol.data, byol.run.epochs) == (simsiam.data, simsiam.run.epochs)


@pytest.mark.parametrize("size", ["imagenet", "cifar10", "cifar10_small", "shapes"])
def test_swav_has_about_as_many_prototypes_to_an_image_as_its_authors(size):
    files = [f"--flagfile={SIZES / f'{size}.flags'}"]
    files += [f"--flagfile={ORIGINALS / 'swav.flags'}"] if size == "imagenet" else []
    config = config_of(PAPER / "table4_swav_epochs_100.flags", *files)
    assert config.data.global_batch_size / config.model.of_method.num_prototypes == pytest.approx(4096 / 3000, rel=0.01)


def test_every_row_of_an_experiment_has_its_recipe_and_a_reference():
    for experiment in EXPERIMENTS.values():
        recipes = [row.recipe for row in experiment.rows]
        assert experiment.reference in recipes
        assert all((PAPER / f"{recipe}.flags").exists() for recipe in recipes)
        assert all(row.against in ("", *recipes) for row in experiment.rows)
        assert all(row.claim == "reference" or row.claim in CLAIMS for row in experiment.rows)
    covered = {row.recipe for experiment in EXPERIMENTS.values() for row in experiment.rows}
    covered |= {row.pretraining.recipe for row in ROWS.values() if row.pretraining}
    assert {path.stem for path in PAPER.glob("*.flags")} == covered
    originals = {row.original for experiment in EXPERIMENTS.values() for row in experiment.rows if row.original}
    assert {path.stem for path in ORIGINALS.glob("*.flags")} == originals


def test_byol_s_rates_and_momentum_are_those_of_the_paper_s_footnote_6():
    found = []
    for row in (row for row in EXPERIMENTS["table4"].rows if "byol" in row.recipe):
        files = (SIZES / "imagenet.flags", ORIGINALS / f"{row.original}.flags")
        config = config_of(PAPER / f"{row.recipe}.flags", *(f"--flagfile={file}" for file in files))
        optimizer = config.optimizer
        assert (optimizer.optimizer, config.data.global_batch_size) == ("lars", 4096)
        rate, decay = optimizer.base_learning_rate, optimizer.weight_decay
        found.append((config.run.epochs, rate, decay, config.model.of_method.ema_momentum))
    expected = [(100, 0.45, 1e-6, 0.99), (200, 0.3, 1e-6, 0.99), (400, 0.3, 1e-6, 0.99), (800, 0.2, 1.5e-6, 0.996)]
    assert found == expected


def test_the_other_methods_settings_on_imagenet_are_those_of_their_authors():
    """As the recipes' headers cite them, at the batches of the paper's Table 4."""

    def of(method):
        files = (SIZES / "imagenet.flags", ORIGINALS / f"{method}.flags")
        config = config_of(PAPER / f"table4_{method}_epochs_200.flags", *(f"--flagfile={file}" for file in files))
        optimizer = config.optimizer
        rates = (optimizer.base_learning_rate, optimizer.final_learning_rate, optimizer.warmup_epochs)
        what = (optimizer.optimizer, optimizer.lars_exclude, config.data.global_batch_size, optimizer.weight_decay)
        first, second = build.view_policies(config)
        assert first == second
        return config.model.of_method, (*what, *rates, config.augment.augmentation, first.crop_min_scale)

    model, settings = of("simclr")
    assert settings == ("lars", True, 4096, 1e-6, 0.3, 0.0, 10, "simclr", 0.08)
    heads = (model.projector_layers, model.projector_hidden_dim, model.projector_dim, model.temperature)
    assert heads == (3, 0, 128, 0.1)  # 0: the backbone's width, 2048
    model, settings = of("mocov2")
    assert settings == ("sgd", True, 256, 1e-4, 0.03, 0.0, 0, "simsiam", 0.2)
    assert (model.projector_dim, model.bn_placement, model.queue_size) == (128, "none", 65536)
    assert (model.temperature, model.ema_momentum) == (0.2, 0.999)
    model, settings = of("swav")
    assert settings == ("lars", False, 4096, 1e-6, 0.3, 0.001, 10, "swav", 0.08)
    assert (model.projector_layers, model.projector_dim, model.num_prototypes) == (3, 128, 3000)
    codes = (model.temperature, model.sinkhorn_epsilon, model.sinkhorn_iterations, model.freeze_prototypes_epochs)
    assert codes == (0.1, 0.05, 3, 1)


def test_the_transfer_s_settings_are_those_of_the_paper(transfer_of):
    """As MoCo's public detection has them, which the paper used."""
    assert {path.stem for path in TRANSFERS} == set(TRANSFER_SIZES)
    lengths = {"voc07": (24000, (18000, 22000), 100), "voc0712": (24000, (18000, 22000), 100)}
    lengths["coco"] = (90000, (60000, 80000), 1000)
    for path in TRANSFERS:
        config = transfer_of(path)
        if path.stem == "made":
            continue
        assert (config.run.steps, config.optimizer.milestones, config.optimizer.warmup_steps) == lengths[path.stem]
        assert (config.optimizer.learning_rate, config.data.global_batch_size) == (0.02, 16)
        assert (config.optimizer.weight_decay, config.optimizer.sgd_momentum) == (1e-4, 0.9)
        assert config.data.sides == tuple(range(640 if path.stem == "coco" else 480, 801, 32))
        assert (config.data.evaluation_side, config.data.long_side) == (800, 1333)
        assert config.detector.masks == (path.stem == "coco")
        assert config.detector == dataclasses.replace(DetectorConfig(), masks=config.detector.masks)
        assert (config.backbone.arch, config.backbone.width, config.backbone.stem) == ("resnet50", 1.0, "imagenet")
        assert config.run.precise_bn_batches == 200
        assert "not run by us" in path.read_text().lower()


def test_the_pre_trainings_of_table_5():
    base, optimal = (config_of(PAPER / f"table5_{name}.flags") for name in ("base", "optimal"))
    assert (base.run.epochs, base.data.global_batch_size) == (200, 256)
    changed = dataclasses.replace(base.optimizer, base_learning_rate=0.5, weight_decay=1e-5)
    assert optimal.optimizer == changed
    small = [
        config_of(PAPER / f"table5_{name}.flags", f"--flagfile={SIZES / 'made.flags'}") for name in ("base", "optimal")
    ]
    assert [config.optimizer.base_learning_rate for config in small] == [0.2, 2.0]
    assert (small[0].run.epochs, small[0].data.global_batch_size, small[0].optimizer.weight_decay) == (60, 64, 5e-4)


def test_a_flag_after_the_flagfile_overrides_it():
    path = ROOT / "flags" / "recipes" / "cifar10.flags"
    assert parse(path)["run"]["epochs"] == 800
    changed = parse(path, "--epochs=3", "--nostop_gradient")
    assert changed["run"]["epochs"] == 3
    assert changed["model"]["stop_gradient"] is False
    assert changed["recipe"] == "cifar10"


def test_the_paper_s_settings():
    """Sec. 3 and App. D of the paper."""
    imagenet = parse(ROOT / "flags" / "recipes" / "imagenet.flags")
    model, optimizer, data = imagenet["model"], imagenet["optimizer"], imagenet["data"]
    assert (model["arch"], model["projector_layers"], model["projector_dim"], model["predictor_dim"]) == (
        "resnet50",
        3,
        2048,
        512,
    )
    assert (optimizer["base_learning_rate"], optimizer["weight_decay"], optimizer["sgd_momentum"]) == (0.05, 1e-4, 0.9)
    assert (data["global_batch_size"], data["image_size"], imagenet["run"]["epochs"]) == (512, 224, 100)

    cifar = parse(ROOT / "flags" / "recipes" / "cifar10.flags")
    model, optimizer = cifar["model"], cifar["optimizer"]
    assert (model["arch"], model["width"]) == ("resnet18", 1.0)
    assert (model["projector_layers"], model["projector_dim"]) == (2, 2048)
    assert (optimizer["base_learning_rate"], optimizer["weight_decay"]) == (0.03, 5e-4)
    assert (cifar["data"]["global_batch_size"], cifar["augment"]["augmentation"]) == (512, "simsiam_cifar")
