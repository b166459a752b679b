"""Looks into the graph of a data set: whether TensorFlow alone can run it, on a host without Python."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

# What the names of the ops contain that call Python: PyFunc, PyFuncStateless, EagerPyFunc.
_CALLS_PYTHON = "PyFunc"


def python_ops(dataset: tf.data.Dataset) -> list[str]:
    """Returns the kinds of ops in the graph of a data set that call Python, sorted.

    A run of such an op on a remote host does not fail where that host is this machine, so that only a look at the graph
    tells. The graph is not serialised: images that are held in memory would be in it, and TensorFlow serialises more
    than 2 GB of them to nothing, without an error.

    Args:
        dataset: the data set; the functions that its parts map and filter by are looked into too.
    """
    return sorted({node.op for node in _nodes(dataset) if _CALLS_PYTHON in node.op})


def _nodes(dataset: tf.data.Dataset) -> Iterator[Any]:
    """Yields the nodes of every function of a data set and of those that it is made of."""
    for wrapped in dataset._functions():
        graph = wrapped.function.graph.as_graph_def()
        yield from graph.node
        for function in graph.library.function:
            yield from function.node_def
    for made_of in dataset._inputs():
        yield from _nodes(made_of)
