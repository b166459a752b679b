"""Finds the recipes: files of flags for train.py and transfer.py, which are in flags/recipes of a checkout."""

import difflib
import functools
import pathlib

from simsiam_tf.errors import UsageError, check

# Recipes of this folder have the flags of transfer.py, all others those of train.py.
_TRANSFER = "transfer"


@functools.cache
def recipes() -> dict[str, pathlib.Path]:
    """Returns the file of each recipe by its name, which is its path below the folder, without the ending.

    Raises:
        UsageError: if there are no recipes beside the package.

    Example:
        recipes()["paper/fig2_no_stop_gradient"]  # .../flags/recipes/paper/fig2_no_stop_gradient.flags
    """
    package = pathlib.Path(__file__).resolve().parents[1]
    # An installed package holds them itself (setup.py); in a checkout they are at the top.
    installed, checkout = package / "recipes", package.parent / "flags" / "recipes"
    folder = installed if installed.is_dir() else checkout
    found = {str(path.relative_to(folder).with_suffix("").as_posix()): path for path in folder.rglob("*.flags")}
    check(bool(found), "The recipes must be beside the package; install it again, or use a checkout.", str(folder))
    return dict(sorted(found.items(), key=lambda item: (item[0].count("/"), item[0])))


def recipes_of(command: str) -> dict[str, pathlib.Path]:
    """Returns the recipes of one command.

    Args:
        command: `train` or `transfer`.
    """
    is_transfer = command == _TRANSFER
    return {name: file for name, file in recipes().items() if name.startswith(f"{_TRANSFER}/") is is_transfer}


def find_recipe(name: str, command: str) -> pathlib.Path:
    """Returns the file of a recipe.

    Args:
        name: the name of the recipe, or a beginning that no other recipe of the command shares.
        command: `train` or `transfer`.

    Raises:
        UsageError: if there is no such recipe, several begin so, or it is one of the other command.

    Example:
        find_recipe("paper/table1c", "train")  # .../paper/table1c_predictor_constant_lr.flags
    """
    known = recipes_of(command)
    if name in known:
        return known[name]
    begins = [other for other in known if name and other.startswith(name)]
    if len(begins) == 1:
        return known[begins[0]]
    if begins:
        raise UsageError(
            f"--recipe must be the beginning of one recipe only; {_listed(begins)} begin so. Received: {name}."
        )
    others = [other for other in recipes() if other not in known and name and other.startswith(name)]
    if others:
        raise UsageError(
            f"--recipe must be a recipe of this command; {_listed(others)} {'is' if len(others) == 1 else 'are'} for "
            f"{'train.py' if command == _TRANSFER else 'transfer.py'}. Received: {name}."
        )
    alike = [other for other in known if name and name.removesuffix(".flags").rpartition("/")[2] in other]
    alike = alike or difflib.get_close_matches(name, [*known, *(_beginning(other) for other in known)], 3, 0.75)
    hint = f"; did you mean {_listed(alike, 'or')}" if alike else ""
    raise UsageError(
        f"--recipe must name a recipe, and --list_recipes shows them{hint}. Received: {name or 'nothing'}."
    )


def first_line(recipe: pathlib.Path) -> str:
    """Returns the first line of a recipe, which says what it is.

    Args:
        recipe: the file.
    """
    return recipe.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()


def _beginning(name: str) -> str:
    """Returns the part of a recipe's name that people type, as paper/table1c of paper/table1c_predictor_constant_lr."""
    return name.partition("_")[0]


def _listed(names: list[str], word: str = "and") -> str:
    """Returns up to five names as a phrase."""
    shown = names if len(names) <= 5 else [*names[:4], f"{len(names) - 4} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {word} {shown[-1]}"
