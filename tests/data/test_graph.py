"""Python in the graph of a data set is found, wherever it stands."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.graph import python_ops
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import evaluation_dataset, pretraining_dataset, with_views
from simsiam_tf.data.sources import memory_source, open_source
from simsiam_tf.distribute.input import Share

POLICY = POLICIES["simsiam"]


@pytest.fixture
def memory(rng):
    return memory_source("made", rng.integers(0, 256, (16, 12, 16, 3), np.uint8), None)


@pytest.fixture
def files(tmp_path, memory):
    for i, image in enumerate(memory.images.numpy()):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    return open_source(DataConfig(dataset="folder", data_dir=str(tmp_path)), "train")


@pytest.mark.parametrize(("kind", "found"), [("memory", []), ("files", ["PyFuncStateless"])])
def test_a_folder_is_read_by_python_and_memory_is_not(kind, found, request):
    """The serialised graph, which is complete for so few images, says the same."""
    source = request.getfixturevalue(kind)
    batches = pretraining_dataset(source, ShuffledOrder(16, 8, seed=0), POLICY, 10, Share(8))
    for dataset in (batches, with_views(batches, POLICY, 10), evaluation_dataset(source, 10, 8)):
        graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        assert len(nodes) > 20
        assert python_ops(dataset) == sorted({node.op for node in nodes if "PyFunc" in node.op}) == found


def numbers(of=3):
    return tf.data.Dataset.range(of)


def by_python(i):
    return tf.numpy_function(lambda x: x, [i], tf.int64)


@pytest.mark.parametrize(
    ("dataset", "found"),
    [
        (numbers().map(lambda i: i + 1), []),
        (numbers().map(by_python), ["PyFunc"]),
        (numbers().map(lambda i: tf.py_function(lambda x: x, [i], tf.int64)), ["EagerPyFunc"]),
        (numbers().filter(lambda i: by_python(i) > 0).batch(2), ["PyFunc"]),
        (numbers().flat_map(lambda i: numbers().map(by_python)).prefetch(1), ["PyFunc"]),
        (tf.data.Dataset.zip(numbers(), numbers().map(tf.function(by_python))), ["PyFunc"]),
        (numbers().map(lambda i: tf.cond(i > 0, lambda: by_python(i), lambda: i)), ["PyFunc"]),
    ],
    ids=["none", "map", "eager", "filter", "nested", "zip", "cond"],
)
def test_python_is_found_in_every_part(dataset, found):
    assert python_ops(dataset) == found


def test_generators_are_python():
    spec = tf.TensorSpec([], tf.int64)
    assert python_ops(tf.data.Dataset.from_generator(lambda: iter([1]), output_signature=spec))
