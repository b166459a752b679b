"""Looks into a built wheel: what it installs, its recipes, its licence and its version."""

import email.parser
import pathlib
import zipfile


def wheel_faults(wheel: pathlib.Path, root: pathlib.Path, version: str) -> list[str]:
    """Returns a sentence for each thing that is wrong with a wheel.

    Args:
        wheel: the path of the wheel.
        root: the folder of the checkout that it was built from.
        version: the version that it has to have.
    """
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        metadata = [name for name in names if name.endswith(".dist-info/METADATA")]
        text = opened.read(metadata[0]).decode("utf-8") if metadata else ""
    problems = []
    tops = sorted({name.split("/")[0] for name in names if ".dist-info/" not in name})
    if tops != ["simsiam_tf"]:
        problems.append(f"The wheel must install simsiam_tf alone. Received: {', '.join(tops) or 'nothing'}.")
    place = root / "flags" / "recipes"
    recipes = {f"simsiam_tf/recipes/{path.relative_to(place).as_posix()}" for path in place.rglob("*.flags")}
    if missing := sorted(recipes - set(names)):
        problems.append(f"The wheel must hold every recipe. Missing: {len(missing)}, such as {missing[0]}.")
    if not any(".dist-info/" in name and name.endswith("/LICENSE") for name in names):
        problems.append("The wheel must hold LICENSE. It does not.")
    received = email.parser.Parser().parsestr(text)["Version"]
    if received != version:
        problems.append(f"The wheel's version must be {version}. Received: {received}.")
    return problems
