"""Finds the variables for which an optimizer has a rule of its own."""

from collections.abc import Sequence
from typing import TypeAlias

import keras

from simsiam_tf.errors import UsageError

# An optimizer that is loaded from a file knows variables by their paths.
Variables: TypeAlias = Sequence[keras.Variable | str]


class ChosenVariables:
    """Holds variables or their paths, and finds them among all variables that an optimizer updates.

    It is a class of its own because Keras takes variables in a list of an optimizer for the optimizer's state.

    Args:
        variables: the chosen variables, or their paths.
    """

    def __init__(self, variables: Variables) -> None:
        self._variables = tuple(variables)

    @property
    def paths(self) -> list[str]:
        """The paths of the chosen variables that are trained; an optimizer knows no others."""
        return [v if isinstance(v, str) else v.path for v in self._variables if isinstance(v, str) or v.trainable]

    def positions(self, variables: Sequence[keras.Variable]) -> list[int]:
        """Finds the positions of the chosen variables in a list of variables.

        A chosen variable that is not in the list is left out: a frozen predictor, for instance, is not updated.

        Raises:
            UsageError: if a path is not the path of exactly one variable.
        """
        places = {id(v): i for i, v in enumerate(variables)}
        found = [places[id(v)] for v in self._variables if id(v) in places]
        for path in (v for v in self._variables if isinstance(v, str)):
            named = [i for i, v in enumerate(variables) if v.path == path]
            if len(named) != 1:
                raise UsageError(
                    f"An optimizer has a rule for the variable {path!r}, which must be one of those that it updates. "
                    f"Received: {len(named)} variables of that path."
                )
            found += named
        return found
