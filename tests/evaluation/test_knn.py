import numpy as np
import pytest

from simsiam_tf.evaluation import knn
from simsiam_tf.evaluation.features import Features
from simsiam_tf.evaluation.knn import class_votes, knn_scores, nearest


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def brute_force(bank, queries, k, temperature, classes):
    """Each query's share of the votes for each class, in NumPy, float64."""
    votes = np.zeros((len(queries), classes))
    bank_unit = unit(bank.loaded().astype(np.float64))
    for row, feature in enumerate(unit(queries.loaded().astype(np.float64))):
        similarity = bank_unit @ feature
        for i in np.argsort(-similarity, kind="stable")[:k]:
            votes[row, bank.labels[i]] += np.exp((similarity[i] - 1) / temperature)
    return votes


@pytest.fixture
def draw(rng):
    def draw(n, dim=8, classes=5, parts=1):
        labels = rng.integers(0, classes, n)
        features = (rng.standard_normal((n, dim)) + np.eye(dim)[labels]).astype(np.float32)
        return Features(tuple(np.array_split(features, parts)), np.arange(n), labels)

    return draw


@pytest.mark.parametrize("parts", [1, 3])
def test_gives_brute_force_s_predictions(draw, parts):
    """2,000 x 500: wherever the two best classes are not all but equal."""
    bank, queries = draw(2000, 32, 10, parts), draw(500, 32, 10)
    for k, temperature in ((1, 0.1), (20, 0.07), (200, 0.1)):
        similarity, rows = nearest(bank, queries.loaded(), k)
        ours = class_votes(similarity, bank.labels[rows], 10, k, temperature).numpy()
        theirs = brute_force(bank, queries, k, temperature, 10)
        first, second = np.sort(theirs, axis=1)[:, :-3:-1].T
        clear = first - second > 1e-5 * first
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(ours.argmax(1)[clear], theirs.argmax(1)[clear])


def test_all_ks_and_temperatures_come_from_one_search(draw, monkeypatch):
    monkeypatch.setattr(knn, "_QUERY_CHUNK", 32)
    bank, queries = draw(150), draw(70, parts=3)  # parts that are no multiple of a chunk
    searches = []
    monkeypatch.setattr(knn, "nearest", lambda *args: searches.append(args) or nearest(*args))
    scores = knn_scores(bank, queries, 5, ks=(1, 10, 200), temperatures=(0.05, 0.5))
    assert len(searches) == 1
    assert set(scores) == {(k, t) for k in (1, 10, 200) for t in (0.05, 0.5)}
    for (k, temperature), (top1, top5) in scores.items():
        theirs = brute_force(bank, queries, k, temperature, 5).argmax(1)
        assert top1 == pytest.approx(100 * np.mean(theirs == queries.labels))
        assert top5 == 100
    assert len({score.top1 for score in scores.values()}) > 1


def test_top5_counts_the_five_classes_with_the_most_votes(draw):
    bank, queries = draw(300, 16, 12), draw(100, 16, 12)
    votes = brute_force(bank, queries, 20, 0.1, 12)
    hits = [label in np.argsort(-row)[:5] for row, label in zip(votes, queries.labels, strict=True)]
    scores = knn_scores(bank, queries, 12, ks=(20,))[20, 0.1]
    assert scores.top5 == pytest.approx(100 * np.mean(hits))
    assert scores.top1 < scores.top5 < 100
