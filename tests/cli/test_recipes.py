"""--recipe is the --flagfile that it stands for, and --list_recipes shows what there is."""

import sys

import pytest
from absl import flags

from simsiam_tf.cli import entry_point
from simsiam_tf.cli.command_line import flagfiles, parse_flags
from simsiam_tf.cli.flags import chooses_settings, define_evaluation_flags, define_training_flags, training_config_of
from simsiam_tf.cli.transfer_flags import define_transfer_flags, transfer_config_of
from simsiam_tf.errors import UsageError
from tests.conftest import ROOT

RECIPES = ROOT / "flags" / "recipes"


def files(*names):
    return [f"--flagfile={RECIPES / name}.flags" for name in names]


@pytest.fixture
def defined(monkeypatch):
    """Defines the flags of a command, as in a new process."""

    def define(function=define_training_flags):
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
        flags.FLAGS.set_gnu_getopt(True)
        function()

    define()
    return define


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        (["--recipe=shapes_demo"], ["shapes_demo"]),
        (["--recipe=shapes"], ["shapes_demo"]),
        (["--recipe", "cifar10"], ["cifar10"]),  # though cifar10_small begins so too
        (["-recipe=cifar10_s"], ["cifar10_small"]),
        (["--recipe=paper/table1c,size/cifar10_small"], ["paper/table1c_predictor_constant_lr", "size/cifar10_small"]),
        (["--recipe=paper/table1c", "--recipe= size/shapes "], ["paper/table1c_predictor_constant_lr", "size/shapes"]),
    ],
)
def test_a_recipe_is_the_flagfile_that_it_names(defined, recipe, named):
    rest = ["--epochs=3", "--workdir=w"]
    ours, given = training_config_of([*recipe, *rest]), training_config_of([*files(*named), *rest])
    assert ours.to_dict() == given.to_dict()
    assert ours.recipe == given.recipe == "+".join(name.rpartition("/")[2] for name in named)
    assert [f"--flagfile={file}" for file in flagfiles(recipe)] == files(*named)


def test_the_last_flag_wins_wherever_the_recipe_stands(defined):
    assert training_config_of(["--epochs=3", "--recipe=shapes_demo", "--workdir=w"]).run.epochs == 16
    assert training_config_of(["--recipe=shapes_demo", "--epochs=3", "--workdir=w"]).run.epochs == 3


def test_a_recipe_of_the_other_command_is_refused(defined):
    assert transfer_config_of(["--recipe=transfer/made", "--backbone=none", "--workdir=w"]).recipe == "made"
    with pytest.raises(UsageError, match=r"transfer/made is for transfer\.py\. Received: transfer/made\.$"):
        parse_flags(["", "--recipe=transfer/made"])
    defined(define_transfer_flags)
    with pytest.raises(UsageError, match=r"cifar10 and cifar10_small are for train\.py\. Received: cifar\.$"):
        parse_flags(["", "--recipe=cifar"])
    with pytest.raises(UsageError, match=r"did you mean transfer/voc07 or transfer/voc0712\. Received: voc\.$"):
        parse_flags(["", "--recipe=voc"])


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("imagenet_", None),
        ("image", r"the beginning of one recipe only; imagenet and imagenet_256 begin so\. Received: image\."),
        ("paper/table4_", r"and \d+ more begin so\. Received: paper/table4_\."),
        ("table1c", r"did you mean paper/table1c_predictor_constant_lr\. Received: table1c\."),
        ("flags/recipes/cifar10.flags", r"did you mean .*cifar10.*Received: flags/recipes/cifar10\.flags\."),
        ("", r"Received: nothing\."),
        ("shapes_demo,", r"Received: nothing\."),
        ("../recipes/cifar10", r"did you mean .* Received: \.\./recipes/cifar10\."),
        ("paper/tabel1c", r"did you mean paper/table1c.* Received: paper/tabel1c\."),
        ("cifra10", r"did you mean cifar10.* Received: cifra10\."),
        ("nonsense", r"name a recipe, and --list_recipes shows them\. Received: nonsense\."),
    ],
)
def test_a_name_that_is_no_recipe_s_is_answered(defined, value, sentence):
    if sentence is None:
        assert parse_flags(["", f"--recipe={value}"]) == [""]
        return
    with pytest.raises(UsageError, match=f"^--recipe must .*{sentence}$"):
        parse_flags(["", f"--recipe={value}"])


@pytest.mark.parametrize("line", ["--recipe=shapes_demo", "--recipe=nonsense", "--recipe\nshapes_demo"])
def test_a_recipe_in_a_flagfile_is_not_left_out_without_a_word(defined, tmp_path, line):
    (tmp_path / "mine.flags").write_text(f"--epochs=3\n{line}\n")
    with pytest.raises(UsageError, match="--recipe"):
        parse_flags(["", f"--flagfile={tmp_path / 'mine.flags'}"])


def test_a_recipe_is_a_choice_of_settings_as_a_flagfile_is(defined, monkeypatch):
    for arguments, chooses in ([], True), (["--recipe=shapes_demo", "--dataset=folder"], False):
        monkeypatch.setattr(sys, "argv", ["train.py", "--dataset=folder", "--data_dir=d", *arguments])
        parse_flags(sys.argv)
        assert chooses_settings() is chooses


def test_a_command_without_recipes_has_no_such_flag(defined):
    defined(define_evaluation_flags)
    with pytest.raises(UsageError, match="Unknown command line flag 'recipe'"):
        parse_flags(["", "--recipe=shapes_demo"])


@pytest.mark.parametrize(
    ("define", "folder", "others"),
    [(define_training_flags, "paper/", "transfer/"), (define_transfer_flags, "transfer/", "paper/")],
)
def test_the_list_names_each_recipe_of_the_command_and_needs_no_other_flag(
    define, folder, others, console, monkeypatch, capsys
):
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    monkeypatch.setattr(sys, "argv", ["command", "--list_recipes"])
    entry_point.run(define, lambda: pytest.fail("worked"), "Does something.")
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    expected = {str(path.relative_to(RECIPES).with_suffix("")) for path in RECIPES.rglob("*.flags")}
    assert set(names) == {name for name in expected if name.startswith("transfer/") is (folder == "transfer/")}
    assert any(name.startswith(folder) for name in names) and not any(name.startswith(others) for name in names)
    assert all(len(line.split(maxsplit=1)[1]) > 20 for line in lines)
