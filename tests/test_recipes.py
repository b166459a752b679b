"""Every recipe parses, is valid, and says what it is."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from flags import definitions
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.reproduce import table5_rows
from simsiam_tf.reproduce.experiments import EXPERIMENTS
from simsiam_tf.reproduce.table5_rows import TRANSFER_SIZES
from simsiam_tf.reproduce.verdicts import CLAIMS
from simsiam_tf.training import factory as build
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "flags" / "recipes").rglob("*.flags"))
PAPER, SIZES, ORIGINALS, TRANSFERS = (
    ROOT / "flags" / "recipes" / name for name in ("paper", "size", "authors", "transfer")
)
OPTIMAL = PAPER / "table5_optimal.flags"
# Of Table 4, rows that differ from one that is tried in their number of epochs, and BYOL's in the average's momentum.
LONGER = {
    path for path in PAPER.glob("table4_*_epochs_*.flags") if path.stem.count("_") > 2 and "_100" not in path.stem
}
# Of Table 5, whose rows differ from a row of Table 4 in numbers alone.
LONGER |= set(PAPER.glob("table5_*.flags"))


def config_of(path: pathlib.Path, *overrides: str):
    return definitions.training_config_of([f"--flagfile={path}", *overrides, "--workdir=w"])


def transfer_of(path: pathlib.Path, *overrides: str):
    needed = [] if path.stem == "made" else ["--data_dir=d"]
    return definitions.transfer_config_of([f"--flagfile={path}", "--backbone=none", *needed, *overrides, "--workdir=w"])


def parse(path: pathlib.Path, *overrides: str) -> dict:
    return config_of(path, *overrides).to_dict()


@pytest.fixture(autouse=True)
def root_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.stem}-{path.stem}")
def test_parses_and_its_header_says_command_hardware_time_and_number(path):
    if path.parent == TRANSFERS:
        transfer_of(path)
    else:
        parse(path)
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
    batch_256 = [["table2_batch_256", "table4_epochs_100"], ["table4_epochs_200", "table5_base"]]
    assert equal == [constant, plain, *batch_256]


def test_a_size_leaves_what_the_recipes_set():
    """Else a row would silently become another one."""

    def names(*paths):
        lines = [line for path in paths for line in path.read_text().splitlines()]
        return {line.lstrip("-").partition("=")[0].removeprefix("no") for line in lines if line.startswith("--")}

    paper, sizes, originals = (set(folder.glob("*.flags")) for folder in (PAPER, SIZES, ORIGINALS))
    assert names(*paper - {OPTIMAL}) & names(*sizes) == {"dataset"}
    # It sets rates that the other sizes set. The experiment of Table 5 has no other size.
    of_table5 = {SIZES / f"{size.pretraining}.flags" for size in TRANSFER_SIZES.values()}
    assert of_table5 == {SIZES / "imagenet.flags", SIZES / "made.flags"}
    assert names(OPTIMAL) & names(*of_table5) == {"dataset"}
    shared = {"global_batch_size", "warmup_epochs"}  # SimSiam's rows set these
    assert names(*paper - {OPTIMAL}) & names(*originals) == shared
    rows = [row for experiment in EXPERIMENTS.values() for row in experiment.rows]
    rows += [row.pretraining for row in table5_rows.ROWS if row.pretraining]
    for row in (row for row in rows if row.original):
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


@pytest.mark.parametrize("size", ["imagenet", "cifar10", "cifar10_small", "shapes", "made"])
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
    covered |= {row.recipe for row in table5_rows.ROWS if row.recipe}
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
