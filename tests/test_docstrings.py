"""Every public name has a docstring with an example, and each example of the package is true."""

import doctest
import importlib
import inspect
import pathlib

import pytest

import simsiam_tf

PACKAGE = pathlib.Path(simsiam_tf.__file__).parent
ROOMS = ("augment", "callbacks", "losses", "methods", "networks", "optim")
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>>" in path.read_text()
)


def public_objects():
    """Maps the name of every public class and function to it."""
    homes = [simsiam_tf, *(getattr(simsiam_tf, room) for room in ROOMS)]
    names = {name: getattr(home, name) for home in homes for name in home.__all__}
    return {name: value for name, value in names.items() if inspect.isclass(value) or inspect.isfunction(value)}


def test_every_public_name_has_an_example():
    objects = public_objects()
    assert len(objects) > 30
    lacking = [name for name, value in objects.items() if name != "SSLModel" and ">>>" not in (value.__doc__ or "")]
    assert lacking == []


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert results.attempted > 0
    assert results.failed == 0
