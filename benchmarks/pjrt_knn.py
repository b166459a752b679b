"""Measures kNN without TensorFlow: embeds images by the exported features' program, and lets the nearest ones vote.

It is `simsiam_tf.features.knn` with JAX and NumPy; tests/benchmarks/test_pjrt_knn.py compares the two.
"""

import functools
import pathlib
from typing import Any

import numpy as np

K, TEMPERATURE = 200, 0.1
# The number of queries that are compared with the bank at a time.
_QUERIES = 1000
# The smallest number that a feature is divided by when it is scaled to length 1.
_SMALLEST_NORM = 1e-6


def unit(x: np.ndarray) -> np.ndarray:
    """Scales rows to length 1, and checks that they are finite."""
    norms = np.sqrt(np.einsum("nd,nd->n", x, x))
    if not np.isfinite(norms).all():
        raise FloatingPointError("A feature is not finite, so it has no neighbours; look at the run's loss.")
    return x / np.maximum(norms, _SMALLEST_NORM)[:, np.newaxis]


@functools.cache
def _search(k: int):
    import jax

    def nearest(queries, bank):
        return jax.lax.top_k(jax.numpy.matmul(queries, bank.T, precision="highest"), k)

    return jax.jit(nearest)


@functools.cache
def _slice(size: int):
    """Makes the program that cuts `size` images out, from a place that is no constant: one program for all places."""
    import jax

    return jax.jit(lambda images, start: jax.lax.dynamic_slice_in_dim(images, start, size))


def nearest(bank: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k rows of the bank with the greatest cosine similarity to each query.

    Args:
        bank: the features to search, `[N, D]`.
        queries: the features whose neighbours are sought, `[M, D]`.
        k: the number of rows to find, at most N.

    Returns:
        Similarities `[M, k]`, the greatest first, and row numbers `[M, k]`.
    """
    import jax

    held, scaled, search = jax.device_put(unit(bank)), unit(queries), _search(k)
    found = [search(scaled[i : i + _QUERIES], held) for i in range(0, len(scaled), _QUERIES)]
    return np.concatenate([np.asarray(s) for s, _ in found]), np.concatenate([np.asarray(i) for _, i in found])


def top1(bank: np.ndarray, bank_labels: np.ndarray, queries: np.ndarray, labels: np.ndarray) -> float:
    """Measures the accuracy of the weighted vote of the 200 nearest neighbours at T = 0.1, in percent.

    If the right class and another one have equal votes, the other one counts as ahead.

    Args:
        bank: the features that vote, `[N, D]`.
        bank_labels: their classes, `[N]`.
        queries: the features to classify, `[M, D]`.
        labels: their classes, `[M]`.
    """
    similarity, index = nearest(bank, queries, min(K, len(bank)))
    classes = int(max(bank_labels.max(), labels.max())) + 1
    # exp(1 / T) is e^10 at most, so the votes need no logarithms as they do for a small T.
    weights = np.exp((similarity.astype(np.float64) - similarity[:, :1]) / TEMPERATURE)
    cells = np.arange(len(queries))[:, np.newaxis] * classes + bank_labels[index]
    votes = np.bincount(cells.ravel(), weights.ravel(), minlength=len(queries) * classes).reshape(-1, classes)
    own = votes[np.arange(len(queries)), labels]
    is_right = ((votes >= own[:, np.newaxis]).sum(axis=1) == 1) & (own > 0)
    return float(100.0 * is_right.mean())


class Knn:
    """Measures kNN of a run's state.

    Args:
        folder: the folder W/pjrt, with the features' program.
        meta: what `export` says of the run.
        images: the training images, on the device that is to compute.
    """

    def __init__(self, folder: pathlib.Path, meta: dict[str, Any], images: Any):
        import jax
        import pjrt

        (device,) = images.devices()
        self._meta, self._images, self._device = meta["features"], images, device
        text = (folder / "features.stablehlo").read_text()
        self._executable, self.compile_seconds = pjrt.compile_program(text, [device], folder / "features.executable")
        with np.load(folder / "features.npz") as file:
            self._constants = {name: jax.device_put(file[name], device) for name in file.files}
        self._tests = jax.device_put(np.load(folder / "test_images.npy"), device)
        with np.load(folder / "labels.npz") as file:
            self._bank_labels, self._labels = file["train"], file["test"]

    def features(self, images: Any, state: dict[str, Any]) -> np.ndarray:
        """Embeds images that are on the device, `[N, H, W, 3] uint8`; returns `[N, D]`."""
        import jax

        size, parts = self._meta["batch_size"], []
        given = [self._constants[name] if name in self._constants else state[name] for name in self._meta["state"]]
        count = len(images)
        if count < size:
            images = jax.numpy.pad(images, [(0, size - count), (0, 0), (0, 0), (0, 0)])
        for i in range(0, count, size):
            start = min(i, len(images) - size)  # the last batch begins with images of the one before
            batch = jax.device_put(_slice(size)(images, start), self._device)
            done = self._executable.execute_sharded([batch, *given])
            parts.append(done.disassemble_into_single_device_arrays()[0][0][i - start :])
        return np.concatenate([np.asarray(part) for part in parts])[:count]

    def __call__(self, state: dict[str, Any]) -> float:
        """Measures the accuracy of the weights in a state, in percent; its arrays are on the device."""
        bank, queries = self.features(self._images, state), self.features(self._tests, state)
        return top1(bank, self._bank_labels, queries, self._labels)
