"""Describes the machine and the versions that a run was started with, for config.json."""

import importlib.metadata
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import simsiam_tf


def environment() -> dict[str, Any]:
    """Returns the versions, the git commit and the command."""
    return {
        "versions": {
            "simsiam_tf": simsiam_tf.__version__,
            "python": platform.python_version(),
            "tensorflow": _version("tensorflow", "tensorflow-cpu", "tensorflow-tpu"),
            "keras": _version("keras"),
            "tensorflow-datasets": _version("tensorflow-datasets"),
        },
        "git_commit": _commit(pathlib.Path(__file__)),
        "command": sys.argv,
    }


def _commit(file: pathlib.Path) -> str | None:
    """Returns the commit of the checkout that a file of this package belongs to; `None` if the package is installed.

    An environment with the installed package may lie in a repository of the user's, whose commit says nothing of it.
    """
    git = ["git", "-C", str(file.parent)]
    try:
        if subprocess.run(
            [*git, "ls-files", "--error-unmatch", file.name], capture_output=True, check=False
        ).returncode:
            return None
        return (
            subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
            or None
        )
    except OSError:  # no git on this machine
        return None


def commit_of(content: Mapping[str, Any]) -> str:
    """Returns the commit that a run was trained at, for tables; or that it is unknown, with the version of the package.

    Args:
        content: the content of the run's config.json.
    """
    commit, versions = content.get("git_commit"), content.get("versions")
    version = versions.get("simsiam_tf") if isinstance(versions, Mapping) else None
    return str(commit)[:7] if commit else f"unknown (simsiam_tf {version or 'of unknown version'} as installed)"


def _version(*names: str) -> str | None:
    """Returns the version of the first of these packages that is installed."""
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
