"""Writes the page of all recipes, from the files in flags/recipes."""

import pathlib

from site_builder.places import ROOT

_RECIPES = ROOT / "flags" / "recipes"
_INTRODUCTION = """# All recipes

A recipe is a file of flags: `python train.py --flagfile=FILE --workdir=W`. [How recipes combine](index.md) says which
of them need a second one. Each flag is explained in [every flag](../flags.md).
"""
_TITLES = {
    ".": ("Complete by themselves", "In `flags/recipes`."),
    "paper": ("Rows of the paper", "In `flags/recipes/paper`; each is combined with a size."),
    "size": ("Sizes", "In `flags/recipes/size`; each follows a row of the paper."),
    "authors": ("As the authors of a method train it", "In `flags/recipes/authors`; with the size `imagenet`."),
    "transfer": ("Detection", "In `flags/recipes/transfer`, for transfer.py ([detection](../detection.md))."),
}


def recipes_page() -> str:
    """Returns the page, as Markdown: a table for each folder of recipes.

    Raises:
        ValueError: if a folder has no title here.
    """
    text = _INTRODUCTION
    folders: dict[str, list[pathlib.Path]] = {name: [] for name in _TITLES}
    for path in sorted(_RECIPES.rglob("*.flags")):
        folder = str(path.parent.relative_to(_RECIPES))
        if folder not in folders:
            raise ValueError(
                f"Each folder of recipes needs a title in site_builder/recipes_page.py. Received: {folder}."
            )
        folders[folder].append(path)
    for folder, paths in folders.items():
        title, where = _TITLES[folder]
        text += f"\n## {title}\n\n{where}\n\n| recipe | what it is | what it sets |\n|---|---|---|\n"
        text += "".join(_row(path) for path in paths)
    return text


def _row(path: pathlib.Path) -> str:
    lines = path.read_text().splitlines()
    comment = next((line.lstrip("# ") for line in lines if line.startswith("#")), "")
    flags = " ".join(f"`{line.strip()}`" for line in lines if line.strip() and not line.startswith("#"))
    return f"| `{path.stem}` | {comment.replace('|', chr(92) + '|')} | {flags} |\n"
