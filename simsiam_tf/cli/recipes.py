"""Defines --recipe, which names flagfiles of this project by their short names, and --list_recipes."""

from collections.abc import Sequence

from absl import flags

from simsiam_tf.config.recipes import find_recipe, first_line, recipes_of

_HEADING = "Recipes"


class _RecipeParser(flags.ArgumentParser[str]):
    """Knows which command the recipes are for. The value itself is replaced before it is parsed.

    Args:
        command: `train` or `transfer`.
    """

    def __init__(self, command: str):
        self.command = command


def define_recipe_flags(command: str) -> None:
    """Defines the flags of a command that takes recipes.

    Args:
        command: `train` or `transfer`, whose recipes these are.
    """
    flags.DEFINE(
        _RecipeParser(command),
        "recipe",
        None,
        "Recipe, by its path below flags/recipes without the ending, or by a beginning that no other one has. Several "
        "with commas follow each other as several --flagfile do: --recipe="
        + ("transfer/made." if command == "transfer" else "paper/table1c,size/cifar10_small."),
        module_name=_HEADING,
        flag_values=flags.FLAGS,
    )
    text = "Print the recipes, each with its first line, and do nothing else."
    flags.DEFINE_bool("list_recipes", False, text, module_name=_HEADING, flag_values=flags.FLAGS)


def _command() -> str:
    parser = flags.FLAGS["recipe"].parser
    assert isinstance(parser, _RecipeParser)
    return parser.command


def with_flagfiles(arguments: Sequence[str]) -> list[str]:
    """Replaces each --recipe by the --flagfile of each recipe that it names, where the command takes recipes.

    Args:
        arguments: the arguments of a command line.

    Raises:
        UsageError: if there is no such recipe.
    """
    if "recipe" not in flags.FLAGS:
        return list(arguments)
    command, replaced, rest = _command(), [], iter(arguments)
    for argument in rest:
        name, has_value, value = argument.partition("=")
        if not argument.startswith("-") or name.lstrip("-") != "recipe":
            replaced.append(argument)
            continue
        names = (value if has_value else next(rest, "")).split(",")
        replaced += [f"--flagfile={find_recipe(name.strip(), command)}" for name in names]
    return replaced


def list_recipes_if_asked() -> bool:
    """Prints the recipes if the command line asks for them, and returns whether it did."""
    if "list_recipes" not in flags.FLAGS or not flags.FLAGS.list_recipes:
        return False
    known = recipes_of(_command())
    width = max(map(len, known))
    for name, file in known.items():
        print(f"{name:<{width}}  {first_line(file)}")
    return True
