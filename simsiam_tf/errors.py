"""Defines the exceptions whose messages are written for the person who ran the command."""

import difflib
import functools
import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

_T = TypeVar("_T")


class UsageError(ValueError):
    """Reports a request that cannot be met, in one sentence for the person who made it.

    The commands print the sentence and exit with code 2.
    """


def check(condition: bool, rule: str, received: Any) -> None:
    """Raises a UsageError unless `condition` holds.

    Args:
        condition: whether the rule is kept.
        rule: the rule, as a sentence with its full stop.
        received: the value that breaks the rule; the message ends with it.

    Raises:
        UsageError: if `condition` is false.

    Example:
        check(epochs > 0, "--epochs must be positive.", epochs)
    """
    if not condition:
        raise UsageError(f"{rule} Received: {received}.")


def check_choice(option: str, value: Any, choices: Iterable[Any]) -> None:
    """Raises a UsageError that names the option and its possible values, unless `value` is one of them."""
    possible = list(choices)
    check(value in possible, f"{option} must be one of {', '.join(map(str, possible))}.", repr(value))


def names_its_options(cls: type[_T]) -> type[_T]:
    """Decorates a class so that its constructor answers a keyword that it does not know in one sentence.

    Python and Keras answer in words of their own, which name neither the class nor the keyword that was meant.

    Args:
        cls: a class; what its base classes take as keywords is known too.

    Returns:
        The same class.

    Example:
        >>> import simsiam_tf
        >>> simsiam_tf.SGD(sgd_momentun=0.9)
        Traceback (most recent call last):
        simsiam_tf.errors.UsageError: SGD has no option sgd_momentun; did you mean sgd_momentum? Received: 0.9.
    """
    decorated: Any = cls
    constructor = decorated.__init__

    @functools.wraps(constructor)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        known = [name for base in type(self).__mro__ for name in _keywords(base)]
        for name, value in kwargs.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(dict.fromkeys(known))}."
                raise UsageError(f"{cls.__name__} has no option {name}; {hint} Received: {value!r}.")
        constructor(self, *args, **kwargs)

    vars(checked)["__signature__"] = inspect.signature(constructor)  # Keras reads it, without unwrapping
    decorated.__init__ = checked
    return cls


@functools.cache
def _keywords(cls: Any) -> tuple[str, ...]:
    """Returns the names of the arguments that a class' own constructor takes by keyword."""
    if "__init__" not in vars(cls) or cls is object:
        return ()
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


class StepTooLarge(MemoryError):  # noqa: N818 - the name says what is wrong
    """Reports, in one sentence, that a training step needs more memory than a device has.

    Args:
        images: the number of images that a replica had to compute at a time; 0 if it is not known.
        parts: the value of `--accumulate_steps`.
        received: what the device said.

    Example:
        >>> str(StepTooLarge(512, 1, "OOM"))[:61]
        'A replica has too little memory for 512 images at a time; low'
    """

    def __init__(self, images: int, parts: int, received: str):
        few = f"--accumulate_steps={2 * parts} asks for {images // 2} at a time" if images and images % 2 == 0 else ""
        super().__init__(
            f"A replica has too little memory for {f'{images} images' if images else 'its images'} at a time; lower "
            "--global_batch_size (--finetune_batch_size in a fine-tuning), raise --accumulate_steps"
            f"{f' ({few})' if few else ''}, or compute with --precision=bfloat16, and give the command again. "
            f"Received: {received}."
        )


# The exit code of a command that ends because a number is not finite, or a run is seen to go wrong.
NOT_FINITE = 3


class Stopped(Exception):  # noqa: N818 - not an error
    """Ends a run that was asked to stop and has saved its state. The same command resumes the run.

    Args:
        message: the sentence that the command prints.
        exit_code: the exit code of the command: 128 plus the number of the signal, as in shells.
    """

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code
