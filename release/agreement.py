"""Finds where the places that name the version say something else than `simsiam_tf.__version__`."""

import pathlib
import re

NOT_SET = "date not set"
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.M)
_HEADING = re.compile(r"^## (.+)$", re.M)
_RELEASE = re.compile(r"(\d+\.\d+\.\d+\S*) \((\d{4}-\d{2}-\d{2}|date not set)\)")


def version_of(root: pathlib.Path) -> str:
    """Returns the version of a checkout, from the one line that holds it.

    Args:
        root: the folder of the checkout.

    Raises:
        ValueError: if there is not exactly one such line.
    """
    found = _VERSION.findall((root / "simsiam_tf" / "__init__.py").read_text(encoding="utf-8"))
    if len(found) != 1:
        raise ValueError(f"simsiam_tf/__init__.py must hold __version__ once. Received: {len(found)} lines of it.")
    return found[0]


def date_of(root: pathlib.Path) -> str:
    """Returns the date of the newest version in CHANGELOG.md, which may be `date not set`.

    Args:
        root: the folder of the checkout.

    Raises:
        ValueError: if CHANGELOG.md has no heading of a version.
    """
    for heading in _HEADING.findall(_changelog(root)):
        if match := _RELEASE.fullmatch(heading):
            return match[2]
    raise ValueError("CHANGELOG.md must have a heading such as '## 1.0.0 (date not set)'. Received: none.")


def disagreements(root: pathlib.Path) -> list[str]:
    """Returns a sentence for each thing that keeps a checkout from being released as its version.

    Args:
        root: the folder of the checkout.
    """
    version, problems = version_of(root), []
    headings = _HEADING.findall(_changelog(root))
    if headings[:1] != ["Unreleased"]:
        problems.append(f"CHANGELOG.md must begin with '## Unreleased'. Received: {headings[:1]}.")
    elif _changelog(root).split("## Unreleased", 1)[1].split("\n## ", 1)[0].strip():
        problems.append("Entries below '## Unreleased' in CHANGELOG.md must be put below a version first.")
    newest = next((heading for heading in headings if heading != "Unreleased"), "")
    match = _RELEASE.fullmatch(newest)
    if match is None or match[1] != version:
        rule = f"The newest version in CHANGELOG.md must be '## {version} (YYYY-MM-DD)' or '## {version} ({NOT_SET})'"
        problems.append(f"{rule}, as simsiam_tf.__version__ is. Received: '## {newest}'.")
    cited = re.findall(r"^version: ['\"]?([^'\"\n]+)", (root / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    if cited != [version]:
        problems.append(f"CITATION.cff must say 'version: {version}', as simsiam_tf.__version__. Received: {cited}.")
    return problems


def _changelog(root: pathlib.Path) -> str:
    """Returns the text of CHANGELOG.md."""
    return (root / "CHANGELOG.md").read_text(encoding="utf-8")
