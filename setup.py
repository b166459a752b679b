"""Adds to pyproject.toml what it cannot say: where the recipes lie in a checkout, and the extras, by their files."""

import pathlib

from setuptools import find_packages, setup

_HERE = pathlib.Path(__file__).parent


def _requirements(extra: str) -> list[str]:
    """Returns the packages that an extra adds, which are all lines of its file but comments and included files."""
    lines = (_HERE / f"requirements-{extra}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


setup(
    packages=[*find_packages(include=["simsiam_tf", "simsiam_tf.*"]), "simsiam_tf.recipes"],
    package_dir={"simsiam_tf.recipes": "flags/recipes"},
    extras_require={extra: _requirements(extra) for extra in ("gpu", "interop", "heif", "dev")},
)
