"""Checks the arguments of a method's constructor before anything is built, and keeps them for saving."""

import functools
import inspect
import re
import types
from typing import Any

from simsiam_tf.config.methods import MethodConfig
from simsiam_tf.errors import UsageError


def keeps_its_options(cls: Any) -> Any:
    """Decorates a method so that its constructor checks its arguments and keeps them as `options`.

    Args:
        cls: a class whose `config_class` holds the rules for its arguments; without one nothing is checked.

    Returns:
        The same class. `options` of an instance maps the name of each argument to its value, but for the backbone and
        `name`.
    """
    constructor = cls.__init__
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        (_, *arguments) = bound.arguments.items()  # without self
        options = dict(arguments)
        options |= options.pop("kwargs", {})
        _check(cls.config_class, options)
        constructor(self, *args, **kwargs)
        options = {name: value for name, value in options.items() if name not in ("backbone", "name")}
        self.options = types.MappingProxyType(options)  # no dictionary, in which Keras would look for layers

    vars(checked)["__signature__"] = signature  # Keras reads it, without unwrapping
    cls.__init__ = checked
    return cls


def _check(config_class: type[MethodConfig] | None, options: dict[str, Any]) -> None:
    """Raises a UsageError if an argument breaks a rule of the setting of the same name."""
    if config_class is None:
        return
    settings = [setting for setting in config_class.settings() if setting.name in options]
    values = {s.name: str(options[s.name]) if s.type is str else options[s.name] for s in settings}
    try:
        config_class.from_values(values)
    except UsageError as error:
        raise UsageError(_as_arguments(str(error))) from None


def _as_arguments(message: str) -> str:
    """Rewrites the flags in a message as arguments: `--nostop_gradient`, `--symmetry=asymmetric` and `--predictor`."""
    message = re.sub(r"--no(\w+)", r"\1=False", message)
    return re.sub(r"--(\w+)", r"\1", message)
