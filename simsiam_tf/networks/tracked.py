"""Shows every variable of a network to `tf.train.Checkpoint`."""

from typing import Any


class TracksItsVariables:
    """Shows `tf.train.Checkpoint` every variable of a Keras layer, under the variable's path.

    Keras itself shows only what is an attribute. It leaves out the layers in a list, which are most of a ResNet.
    """

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        children = super()._trackable_children(save_type, **kwargs)  # type: ignore[misc]
        return children | self._variables_by_path() if save_type == "checkpoint" else children

    def _variables_by_path(self) -> dict[str, Any]:
        return {variable.path: variable for variable in self.variables}  # type: ignore[attr-defined]
