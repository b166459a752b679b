"""Makes random views of images: keys give parameters, and parameters give pixels."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsiam_tf.augment.policies import POLICIES as POLICIES
    from simsiam_tf.augment.policies import Policy as Policy
    from simsiam_tf.augment.two_views import TwoViews as TwoViews

__all__ = ["POLICIES", "Policy", "TwoViews"]


def __getattr__(name: str) -> Any:
    # The policies are needed without TensorFlow, which `TwoViews` loads.
    if name in __all__:
        home = "two_views" if name == "TwoViews" else "policies"
        return getattr(importlib.import_module(f"simsiam_tf.augment.{home}"), name)
    raise AttributeError(f"module 'simsiam_tf.augment' has no attribute {name!r}")
