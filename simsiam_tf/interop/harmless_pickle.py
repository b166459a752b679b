"""Reads pickles without running anything that they hold."""

import pickle
from collections.abc import Callable, Mapping
from typing import Any


class NoWeightsError(ValueError):
    """Says why a file holds no weights that can be read."""


class Nothing:
    """Stands for an object of any other class. It keeps nothing and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Nothing":
        """Makes an object, whatever the arguments are."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> "Nothing":
        """Returns the object itself, where a pickle calls it."""
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)

    def append(self, value: Any) -> None:
        """Does nothing, where a pickle adds to a list."""

    def extend(self, values: Any) -> None:
        """Does nothing, where a pickle adds to a list."""

    def add(self, value: Any) -> None:
        """Does nothing, where a pickle adds to a set."""


class HarmlessUnpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Reads a pickle, and looks up each class and function that it names in a table.

    A name that is not in the table becomes an object that does nothing. Nothing is imported or called.

    This is a subclass of the unpickler in Python. The one in C can be made to take gigabytes by a few bytes. The keys
    of dictionaries must be simple values, because the hash of deeply nested tuples takes for ever.

    Args:
        file: the file, which has the methods `read` and `readline`.
        known: what names stand for, by module and name.
        storage: makes what the pickle refers to outside itself.
    """

    dispatch = pickle._Unpickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self, file: Any, known: Mapping[tuple[str, str], Any], storage: Callable[[Any], Any]) -> None:
        super().__init__(file, encoding="utf-8")
        self._known, self._storage = known, storage

    def find_class(self, module: str, name: str) -> Any:
        """Returns what a name in the pickle stands for. Nothing is imported."""
        return self._known.get((module, name)) or type("Nothing", (Nothing,), {})

    def persistent_load(self, pid: Any) -> Any:
        """Returns what the pickle refers to."""
        return self._storage(pid)


def _build(unpickler: Any) -> None:
    """Replaces the opcode that sets the attributes of an object, which only objects that do nothing have here.

    What stands for PyTorch's functions could be made to call itself, without end, until the process dies.
    """
    unpickler.stack.pop()
    target = unpickler.stack[-1]
    if not isinstance(target, dict | Nothing) and not (isinstance(target, type) and issubclass(target, Nothing)):
        raise NoWeightsError("it changes what stands for a part of PyTorch")


HarmlessUnpickler.dispatch[pickle.BUILD[0]] = _build


def _checking(name: str, step: int) -> Callable[[Any], None]:
    """Returns the method for an opcode that hashes values, every one of which must be simple.

    Args:
        name: the name of Python's own method.
        step: the distance of the hashed values among those that the opcode takes.
    """
    usual = getattr(pickle._Unpickler, name)  # type: ignore[attr-defined]

    def load(unpickler: Any) -> None:
        hashed = unpickler.stack[-2:-1] if name == "load_setitem" else unpickler.stack[::step]
        if not all(isinstance(value, str | int | float | bytes | None) for value in hashed):
            raise NoWeightsError("a name in it is no text")
        usual(unpickler)

    return load


for _opcode, _name, _step in (
    (pickle.SETITEM, "load_setitem", 1),
    (pickle.SETITEMS, "load_setitems", 2),
    (pickle.DICT, "load_dict", 2),
    (pickle.ADDITEMS, "load_additems", 1),
    (pickle.FROZENSET, "load_frozenset", 1),
):
    HarmlessUnpickler.dispatch[_opcode[0]] = _checking(_name, _step)
