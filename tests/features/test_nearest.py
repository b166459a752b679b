import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.features import nearest as search
from simsiam_tf.features.embed import Features


@pytest.fixture(params=["host", "accelerator"])
def where(request, monkeypatch):
    """Either way of searching; on a machine without a GPU the accelerator's runs on the CPU."""
    if request.param == "accelerator":
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [3, 40, 997])
def test_nearest_is_exact_whatever_the_chunks(where, rng, monkeypatch, count):
    """Chunks smaller than k, groups that do not divide them, and equal numbers of neighbours and rows."""
    monkeypatch.setattr(search, "_BANK_CHUNK", 70)
    monkeypatch.setattr(search, "_QUERY_CHUNK", 13)
    monkeypatch.setattr(search, "_QUERIES_PER_THREAD", 5)
    bank, queries = rng.standard_normal((count, 6), np.float32), rng.standard_normal((31, 6), np.float32)
    for k in (1, min(count, 37), count):
        similarity, rows = search.nearest(Features.from_array(bank), queries, k)
        exact = unit(queries) @ unit(bank).T
        order = np.argsort(-exact, axis=1)[:, :k]
        np.testing.assert_array_equal(rows, order)
        np.testing.assert_allclose(similarity, np.take_along_axis(exact, order, axis=1), atol=1e-6)


def test_nearest_of_equals_is_still_k_rows(where, rng, monkeypatch):
    """A collapsed network's features are all alike: no row may be found twice, and memory must not grow."""
    monkeypatch.setattr(search, "_BANK_CHUNK", 300)
    bank = np.ones((700, 4), np.float32)
    bank[650] = [1, 1, 1, 1.5]  # the one that is nearer to the second query
    queries = np.array([[1, 1, 1, 1], [1, 1, 1, 2]], np.float32)
    similarity, rows = search.nearest(Features.from_array(bank), queries, 5)
    assert [len(set(row)) for row in rows] == [5, 5]
    assert 650 not in rows[0]
    assert rows[1][0] == 650
    np.testing.assert_allclose(similarity[0], 1, rtol=1e-6)


def test_equals_are_not_laid_side_by_side(monkeypatch):
    """All similarities of a collapsed network reach the bound; a table of them would be as large as the bank."""
    asked, argpartition = [], np.argpartition
    monkeypatch.setattr(np, "argpartition", lambda *args, **kwargs: asked.append(1) or argpartition(*args, **kwargs))
    search.nearest(Features.from_array(np.ones((700, 4), np.float32)), np.ones((3, 4), np.float32), 5)
    assert len(asked) == 1


@pytest.mark.parametrize("where_not", ["bank", "queries"])
def test_a_feature_that_is_not_finite_is_refused(where, where_not):
    """Or else it would have no neighbours, no class a vote, and each class be among the best."""
    features = {"bank": np.ones((5, 2), np.float32), "queries": np.ones((3, 2), np.float32)}
    features[where_not][1, 0] = np.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        search.nearest(Features.from_array(features["bank"]), features["queries"], 2)


def test_a_zero_feature_is_similar_to_nothing(where):
    similarity, rows = search.nearest(
        Features.from_array(np.eye(3, dtype=np.float32)[:, :2]), np.ones((1, 2), np.float32), 3
    )
    assert rows[0][2] == 2
    np.testing.assert_allclose(similarity[0], [0.5**0.5, 0.5**0.5, 0], rtol=1e-6)
