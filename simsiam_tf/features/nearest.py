"""Finds the rows of a bank of features that are most similar to each query, by exact search."""

import concurrent.futures
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.features.embed import Features
from simsiam_tf.host import usable_cores

# The numbers of queries and of bank rows that are compared at a time. Their similarities take 256 MiB at most.
_QUERY_CHUNK, _BANK_CHUNK = 1024, 1 << 16
# The number of similarities in a group of `_merge_greatest`, and the number of queries that one thread merges.
_GROUP, _QUERIES_PER_THREAD = 16, 64
# The smallest number that a feature is divided by when it is scaled to length 1.
_SMALLEST_NORM = 1e-6
# Similarities and row numbers, `[m, k]` each.
Pair = tuple[np.ndarray, np.ndarray]


def nearest(bank: Features, queries: np.ndarray, k: int) -> Pair:
    """Finds the k rows of a bank with the greatest cosine similarity to each query.

    The bank is read once, part by part, so it may be larger than memory.

    Args:
        bank: N features to search.
        queries: the features whose neighbours are sought, `[M, D]`.
        k: the number of rows to find for each query, at most N.

    Returns:
        Similarities `[M, k] float32`, the greatest first, and row numbers `[M, k] int32`.

    Raises:
        FloatingPointError: if a feature is not finite.
    """
    if tf.config.list_logical_devices("GPU"):
        unit, nearer = _unit, _nearer
    else:
        room = np.empty(min(_QUERY_CHUNK, len(queries)) * min(_BANK_CHUNK, len(bank)), np.float32)
        unit, nearer = _unit_on_host, functools.partial(_nearer_on_host, room)
    units = [unit(queries[i : i + _QUERY_CHUNK]) for i in range(0, len(queries), _QUERY_CHUNK)]
    best = [(np.full((len(u), k), -np.inf, np.float32), np.zeros((len(u), k), np.int32)) for u in units]
    for first, rows in bank.chunks(_BANK_CHUNK):
        part = unit(rows)
        best = [nearer(u, part, np.int32(first), *so_far) for u, so_far in zip(units, best, strict=True)]
    return np.concatenate([np.asarray(s) for s, _ in best]), np.concatenate([np.asarray(i) for _, i in best])


# On a CPU, NumPy: its partition is several times as fast as TensorFlow's top_k (docs/results/evaluation.md).


def _in_threads(function: Callable[..., Any], count: int, *arrays: np.ndarray) -> list[Any]:
    """Applies a function to `count` rows of the arrays at a time, in threads; returns the results in order.

    Threads help because NumPy releases Python's lock while it computes.
    """
    parts = [slice(i, i + count) for i in range(0, len(arrays[0]), count)]
    with concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(lambda part: function(*(array[part] for array in arrays)), parts))


def _unit_on_host(x: np.ndarray) -> np.ndarray:
    """Scales rows to length 1, and checks that they are finite."""
    units = np.empty(x.shape, np.float32)

    def scale(some: np.ndarray, scaled: np.ndarray) -> bool:
        norms = np.sqrt(np.einsum("nd,nd->n", some, some))
        np.divide(some, np.maximum(norms, _SMALLEST_NORM)[:, np.newaxis], out=scaled)
        return bool(np.isfinite(norms).all())

    _check_finite(all(_in_threads(scale, 4096, x, units)))
    return units


def _check_finite(finite: bool | tf.Tensor) -> None:
    if not finite:
        raise FloatingPointError("A feature is not finite, so it has no neighbours; look at the run's loss.")


def _nearer_on_host(
    room: np.ndarray,
    queries: np.ndarray,
    bank: np.ndarray,
    first: np.int32,
    similarity: np.ndarray,
    index: np.ndarray,
) -> Pair:
    """Merges n rows of the bank into the k nearest rows found so far, for each of m queries.

    Args:
        room: memory for at least m n similarities. It is used again for each chunk: fresh memory costs 4 % of the time.
        queries: the queries, `[m, D]`, of length 1.
        bank: the rows of the bank, `[n, D]`, of length 1.
        first: the number of the first of these rows in the bank.
        similarity: the similarities of the nearest rows so far, `[m, k]`, the greatest first.
        index: the numbers of the nearest rows so far, `[m, k]`.

    Returns:
        `similarity` and `index` of the nearest rows, these ones included.
    """
    values = room[: len(queries) * len(bank)].reshape(len(queries), len(bank))
    np.matmul(queries, bank.T, out=values)  # [M, n]
    found = _in_threads(_merge_greatest, _QUERIES_PER_THREAD, values, similarity, index - first)
    return np.concatenate([s for s, _ in found]), np.concatenate([i for _, i in found]) + first


def _merge_greatest(values: np.ndarray, similarity: np.ndarray, index: np.ndarray) -> Pair:
    """Merges new values `[m, n]` into the k greatest so far, `[m, k]`; the greatest first.

    To sort only few values, it first finds a lower bound for the k-th greatest: it splits each row into groups, and
    takes the k-th greatest of the groups' maxima. Usually not many more than k values reach the bound. `index` counts
    from the first of the new columns, so older rows are negative.
    """
    (m, n), k = values.shape, similarity.shape[1]
    groups = n // _GROUP
    bound = similarity[:, -1]
    if groups >= k:
        maxima = values[:, : groups * _GROUP].reshape(m, _GROUP, groups).max(axis=1)
        bound = np.maximum(bound, np.partition(maxima, groups - k, axis=1)[:, groups - k])
    row, column = np.divmod(np.flatnonzero(values >= bound[:, np.newaxis]), n)
    counts = np.bincount(row, minlength=m)
    if counts.max() > _GROUP * k and n > k:  # many are equal, as after a collapse
        columns = np.argpartition(values, n - k, axis=1)[:, n - k :]
        more = np.take_along_axis(values, columns, axis=1)
    else:  # pack the values of each query that reach the bound to the left, and fill up with minus infinity
        position = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        columns = np.zeros((m, counts.max()), np.int32)
        more = np.full(columns.shape, -np.inf, np.float32)
        columns[row, position], more[row, position] = column, values[row, column]
    both = np.concatenate([similarity, more], axis=1)
    chosen = np.argsort(-both, axis=1, kind="stable")[:, :k]
    columns = np.concatenate([index, columns], axis=1).astype(np.int32)
    return np.take_along_axis(both, chosen, axis=1), np.take_along_axis(columns, chosen, axis=1)


# On a GPU, TensorFlow.


def _unit(x: tf.Tensor) -> tf.Tensor:
    """Scales rows to length 1, and checks that they are finite."""
    units = tf.math.l2_normalize(x, axis=1, epsilon=_SMALLEST_NORM**2)
    _check_finite(tf.reduce_all(tf.math.is_finite(units)))
    return units


@tf.function(reduce_retracing=True, autograph=False)
def _nearer(
    queries: tf.Tensor, bank: tf.Tensor, first: tf.Tensor, similarity: tf.Tensor, index: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Merges n rows of the bank into the k nearest rows found so far, as `_nearer_on_host` does."""
    values = tf.matmul(queries, bank, transpose_b=True)  # [M, n]
    rows = tf.tile(tf.range(first, first + tf.shape(bank)[0])[tf.newaxis], [tf.shape(queries)[0], 1])
    nearest, chosen = tf.math.top_k(tf.concat([similarity, values], axis=1), tf.shape(similarity)[1])
    return nearest, tf.gather(tf.concat([index, rows], axis=1), chosen, batch_dims=1)
