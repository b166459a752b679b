import functools
import json

import pytest
from absl import flags

from simsiam_tf.cli import flags as definitions
from simsiam_tf.cli.console import define_verbosity_flag
from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.reproduce import page, runs
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.experiments import EXPERIMENTS
from simsiam_tf.training.workdir import record

FIG2 = EXPERIMENTS["fig2"]


def pretend(run, top1=40.0, loss=-0.6, seconds=1800):
    """Leaves what a finished run leaves."""
    run.workdir.root.mkdir(parents=True)
    config = {"config": run.config.to_dict(), "git_commit": "c" * 40}
    write_json(run.workdir.config_path, config)
    for epoch in (1, 2):
        run.workdir.append_metrics({"epoch": epoch, "loss": loss / (3 - epoch), "z_std_scaled": 1.0, "knn_top1": top1})
    values = {"knn_top1": top1, "knn_top1_untrained": 30.0, "loss": loss, "z_std_scaled": 1.0, "wall_seconds": seconds}
    about = {"protocol": "kNN", "k": 200, "temperature": 0.1}
    run.workdir.add_to_summary({name: record(value, **about) for name, value in values.items()})


def test_rows_with_the_same_settings_share_their_runs(plan, tmp_path):
    table1 = plan(EXPERIMENTS["table1"])
    pretend(table1["table1c_predictor_constant_lr"][0])
    sec45 = plan(EXPERIMENTS["sec45"])
    assert sec45["table1c_predictor_constant_lr"][0].is_done
    dims = plan(EXPERIMENTS["appb"])
    assert dims["appb_dim_2048"][0].workdir.root == table1["table1c_predictor_constant_lr"][0].workdir.root
    assert not dims["appb_dim_1024"][0].is_done
    assert not plan(EXPERIMENTS["sec45"], extra=("--sgd_momentum=0.8",))["table1c_predictor_constant_lr"][0].is_done


def test_a_method_s_own_settings_are_those_of_imagenet_alone(tmp_path):
    rows = [row for row in EXPERIMENTS["table4"].rows if row.recipe == "table4_simclr_epochs_100"]
    configs = {}
    for size in ("imagenet", "cifar10"):
        folders = runs.Folders(tmp_path)
        made = runs.Planner(size, [], folders, definitions.training_config_of).plan(rows, lambda _: [0])
        configs[size] = made[rows[0].recipe][0].config
    big, small = configs["imagenet"], configs["cifar10"]
    assert (big.optimizer.optimizer, big.data.global_batch_size, big.augment.augmentation) == ("lars", 4096, "simclr")
    assert (small.optimizer.optimizer, small.data.global_batch_size) == ("sgd", 512)  # App. D: as SimSiam
    assert (big.run.epochs, small.run.epochs) == (100, 800)


def test_what_rows_are_compared_with_may_have_more_seeds():
    config = ReproduceConfig(experiment="sec62", reference_seeds=3)
    experiment = EXPERIMENTS["sec62"]
    several = {row.recipe for row in experiment.rows if list(config.seeds_of(experiment, row, first=5)) == [5, 6, 7]}
    assert several == {experiment.reference, *(f"table4_{m}_epochs_100" for m in ("simclr", "swav", "byol"))}
    others = [row for row in experiment.rows if row.recipe not in several]
    assert all(list(config.seeds_of(experiment, row)) == [0] for row in others)


def test_a_row_is_judged_against_the_row_that_it_names(plan, tmp_path):
    sec62 = plan(EXPERIMENTS["sec62"])
    for recipe, of_row in sec62.items():
        pretend(of_row[0], top1={"table4_simclr_epochs_100": 50.0}.get(recipe, 45.0))
    page.write(tmp_path, "sec62", EXPERIMENTS["sec62"], sec62, "none", [])
    shown = {row["recipe"]: row["verdict"] for row in json.loads((tmp_path / "sec62.json").read_text())["rows"]}
    assert shown["sec62_simclr_predictor"]["text"].startswith("-5.0 points")
    assert shown["sec62_swav_predictor"]["text"].startswith("+0.0 points")
    assert shown["sec62_simclr_predictor"]["shows"] == "yes"


def test_rows_share_runs_before_the_first_is_there(plan, tmp_path):
    """As with --experiment=all, where everything is planned first."""
    folders = runs.Folders(tmp_path)
    plans = [plan(EXPERIMENTS[name], folders=folders) for name in ("sec45", "appb", "table2")]
    recipes = ("table1c_predictor_constant_lr", "appb_dim_2048", "table2_batch_512")
    assert len({made[recipe][0].workdir.root for made, recipe in zip(plans, recipes, strict=True)}) == 1


def test_a_run_is_found_by_its_settings_whatever_its_folder_is_called(plan, tmp_path):
    made = plan()["baseline"][0]
    pretend(made)
    made.workdir.root.rename(tmp_path / "runs" / "renamed")
    assert plan()["baseline"][0].workdir.root.name == "renamed"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("--stop_gradient", "--stop_gradient is set by the recipe fig2_no_stop_gradient"),
        ("--knn_every_epochs=0", "compared by kNN"),
        ("--epochs=none", "epochs"),
    ],
)
def test_flags_that_would_undo_a_row_are_refused(plan, extra, message):
    with pytest.raises(UsageError, match=message):
        plan(extra=(extra,))


@pytest.mark.parametrize("extra", ["--optimizer=sgd", "--global_batch_size=256", "--nolars_exclude"])
def test_flags_that_would_undo_what_its_authors_do_are_refused_where_that_is_done(extra, tmp_path):
    rows = [row for row in EXPERIMENTS["sec62"].rows if row.recipe == "sec62_swav_predictor"]

    def plan(size):
        planner = runs.Planner(size, (extra,), runs.Folders(tmp_path), definitions.training_config_of)
        return planner.plan(rows, lambda _: (0,))

    assert plan("shapes")
    with pytest.raises(UsageError, match=r"is set by the recipe sec62_swav_predictor; do not give it\. Received: --"):
        plan("imagenet")


def take_our_flags():
    """Removes what is not absl's own, which TensorFlow reads, and gives it back."""
    modules = flags.FLAGS.flags_by_module_dict().items()
    ours = {flag.name: flag for module, of_module in modules if not module.startswith("absl.") for flag in of_module}
    for name in ours:
        delattr(flags.FLAGS, name)
    return ours


@pytest.fixture
def no_flags():
    """None of ours are defined, as in a new process; afterwards those that were are again."""
    before, of_absl = take_our_flags(), flags.FLAGS["verbosity"]
    of_absl.unparse()  # another test may have set it, and then it is not replaced
    yield
    take_our_flags()
    delattr(flags.FLAGS, of_absl.short_name)
    flags.FLAGS["verbosity"] = of_absl
    for name, flag in before.items():
        flags.FLAGS[name] = flag


def test_flags_of_any_kind_reach_the_runs(no_flags):
    given = ["--blur_p=1.0,0.1", "--gray_p=0.123456789", "--data_dir=a folder", "--noresume", "--precision=bfloat16"]
    definitions.define_reproduce_flags()
    define_verbosity_flag()
    flags.FLAGS(["reproduce", "--experiment=fig2", "--workdir=w", "--seed=3", "--verbosity=quiet", *given])
    config, workdir, seed, extra = definitions.reproduce_config()
    assert (config.experiment, workdir, seed) == ("fig2", "w", 3)
    made = definitions.training_config_of([*extra, "--workdir=w"])
    assert (made.augment.blur_p, made.augment.gray_p) == ((1.0, 0.1), 0.123456789)
    assert (made.data.data_dir, made.run.resume, made.devices.precision) == ("a folder", False, "bfloat16")
    assert extra[-1] == "--verbosity=quiet"
    loud = definitions.training_config_of([*extra[:-1], "--verbosity=debug", "--workdir=w"])
    assert made == loud  # it belongs to no run
    assert "verbosity" not in json.dumps(made.to_dict())


def test_an_experiment_is_not_run_at_a_size_that_its_numbers_are_not_of():
    """App. D is of CIFAR-10."""
    with pytest.raises(
        UsageError, match=r"appd does not exist at this --size; .* --experiment=table4\. Received: imagenet\."
    ):
        ReproduceConfig(experiment="appd", size="imagenet")
    everything = [name for name in EXPERIMENTS if name != "table4"]
    assert ReproduceConfig(experiment="all", size="cifar10").experiments == everything
    assert ReproduceConfig(experiment="all", size="imagenet").experiments == everything[:-1]
    assert ReproduceConfig(experiment="appd", size="cifar10").experiments == ["appd"]


def test_the_page_has_both_numbers_and_the_mean_over_seeds(plan, tmp_path):
    made = plan(seeds=(0, 1))
    for number, row in enumerate(FIG2.rows):
        for seed, run in enumerate(made[row.recipe]):
            pretend(run, top1=40 - 10 * number + seed)
    _, text = page.write(tmp_path, "fig2", FIG2, made, "none", ["--size=shapes", "--seeds=2"])
    assert "`python -m simsiam_tf.reproduce --experiment=fig2 --size=shapes --seeds=2 --workdir=W`" in text
    assert "| with stop-gradient | 67.7 | 40.5 +- 0.7 (2 seeds) | -0.600 | 1.000 |" in text
    assert "| collapses | no |" in text  # with this deviation
    assert "k 200, T 0.1. 3.0 hours" in text
    content = json.loads((tmp_path / "fig2.json").read_text())
    assert [row["top1"] for row in content["rows"]] == [40.5, 30.5, 20.5]
    assert content["rows"][0]["losses"] == [[-0.3, -0.6]] * 2  # of each seed
    assert content["commits"] == ["ccccccc"]
    assert (tmp_path / "fig2.png").stat().st_size > 10_000


def test_a_row_that_diverged_is_called_so(plan, tmp_path):
    made = plan()
    for row in FIG2.rows[:2]:
        pretend(made[row.recipe][0])
    lost = made[FIG2.rows[2].recipe][0]
    lost.workdir.root.mkdir(parents=True)
    write_json(lost.workdir.config_path, {"config": lost.config.to_dict(), "git_commit": "d" * 40})
    _, text = page.write(tmp_path, "fig2", FIG2, made, "none", [])
    assert "| diverged | |  | collapses, z to one point | no | 1 of 1 runs diverged |" in text
    content = json.loads((tmp_path / "fig2.json").read_text(), parse_constant=pytest.fail)
    assert content["rows"][2]["top1"] is None


def test_the_page_says_how_long_the_rows_that_were_left_out_would_take(tmp_path):
    """By the runs of the same method where there are some, else by all; runs that are done are not counted again."""
    table4, names = EXPERIMENTS["table4"], ("table4_epochs_100", "table4_swav_epochs_100")
    planner = runs.Planner("shapes", (), runs.Folders(tmp_path), definitions.training_config_of)
    config = ReproduceConfig(experiment="table4", size="shapes", seeds=2, rows=names[1:])

    seeds = functools.partial(config.seeds_of, table4)
    made = planner.plan(config.chosen(table4).rows, seeds)
    assert list(made) == list(names)
    for recipe, seconds in zip(names, (1800, 7200), strict=True):
        for run in made[recipe]:
            pretend(run, seconds=seconds)
    longer = planner.plan([row for row in table4.rows if row.recipe.endswith("_epochs_200")], seeds)
    pretend(longer["table4_swav_epochs_200"][0], seconds=14400)
    for run in longer["table4_epochs_200"]:
        pretend(run)
    left_out = planner.left_out(table4, made, seeds)
    assert len(left_out) == 17  # of 20: two were run, and a third is done
    _, text = page.write(tmp_path, "table4", table4, made, "none", [], left_out=left_out)
    lines = text.splitlines()
    not_run = "not run: 4.0 hours | |  | learns, without collapse | not run |  |"
    assert f"| SimSiam, 400 epochs x size | 70.8 | {not_run}" in lines
    part = "| SwAV, 200 epochs x size | 69.1 | not run: 4.0 hours (1 of 2 seeds done) |"
    assert any(line.startswith(part) for line in lines)
    assert any(line.startswith("| BYOL, 100 epochs x size | 66.5 | not run: 2.5 hours |") for line in lines)
    assert not any(line.startswith("| SimSiam, 200 epochs") for line in lines)
    assert [row["runs"] for row in json.loads((tmp_path / "table4.json").read_text())["rows"]].count([]) == 17


def test_rows_left_out_need_not_go_with_the_extra_flags(tmp_path):
    """A page is written after hours of training, and is not to fail for a row that was not run."""
    fig2, table4 = ("fig2", ["baseline"]), ("table4", ["table4_epochs_100"])
    cases = (
        (*fig2, (), 2),
        (*fig2, ("--nostop_gradient",), 0),  # which both of the others set themselves
        (*table4, (), 19),
        (*table4, ("--symmetry=asymmetric",), 3),  # which other methods do not have
    )
    for name, chosen, extra, number in cases:
        planner = runs.Planner("shapes", extra, runs.Folders(tmp_path), definitions.training_config_of)
        assert len(planner.left_out(EXPERIMENTS[name], chosen, lambda _: [0])) == number
