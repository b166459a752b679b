"""Describes the machine and the versions that a run was started with, for config.json."""

import importlib.metadata
import pathlib
import platform
import subprocess
import sys
from typing import Any

import simsiam_tf


def environment() -> dict[str, Any]:
    """Returns the versions, the git commit and the command."""
    git = ["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:  # no git on this machine
        commit = None
    return {
        "versions": {
            "simsiam_tf": simsiam_tf.__version__,
            "python": platform.python_version(),
            "tensorflow": _version("tensorflow", "tensorflow-cpu", "tensorflow-tpu"),
            "keras": _version("keras"),
            "tensorflow-datasets": _version("tensorflow-datasets"),
        },
        "git_commit": commit,
        "command": sys.argv,
    }


def _version(*names: str) -> str | None:
    """Returns the version of the first of these packages that is installed."""
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
