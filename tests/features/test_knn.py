import math

import numpy as np
import pytest

from simsiam_tf.data.sources import memory_source
from simsiam_tf.features import knn
from simsiam_tf.features.embed import Features
from simsiam_tf.features.knn import KNNProtocol, knn_hits, knn_scores, log_votes
from simsiam_tf.features.nearest import nearest


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
        ours = log_votes(similarity, bank.labels[rows], 10, k, temperature)
        theirs = brute_force(bank, queries, k, temperature, 10)
        first, second = np.sort(theirs, axis=1)[:, :-3:-1].T
        clear = first - second > 1e-5 * first
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(ours.argmax(1)[clear], theirs.argmax(1)[clear])


def count_by_hand(similarity, neighbours, labels, truth, *, k, temperature, guesses):
    """Percent of the queries whose class is among the best `guesses`, vote by vote.

    Weights are added up as logarithms, in Python's floats. A class must have a vote, and fewer than `guesses` other
    classes must have as many or more.
    """
    hits = 0
    for row, own in enumerate(truth):
        votes = {}
        for s, neighbour in zip(similarity[row][:k].tolist(), neighbours[row][:k], strict=True):
            votes.setdefault(labels[neighbour], []).append(s / temperature)
        totals = {}
        for label, logs in votes.items():
            greatest = max(logs)
            totals[label] = greatest + math.log(math.fsum(math.exp(log - greatest) for log in logs))
        if own in totals:
            ahead = 0
            for label, total in totals.items():
                # Logarithms of up to a million are rounded at 1e-10.
                if label != own and total >= totals[own] - 1e-9 * max(1.0, abs(totals[own])):
                    ahead += 1
            hits += ahead < guesses
    return 100 * hits / len(truth)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 20, 77, 200])
def test_accuracies_are_those_counted_by_hand(draw, k):
    """Also where fewer than five classes have a vote, and where all weights would underflow."""
    bank, queries = draw(400, 12, 10), draw(60, 12, 10)
    similarity, neighbours = nearest(bank, queries.loaded(), k)
    temperatures = (1e-6, 1e-5, 1e-3, 0.02, 0.1, 1.0)
    scores = knn_scores(bank, queries, 10, (k,), temperatures)
    for temperature in temperatures:
        by_hand = [
            count_by_hand(
                similarity, neighbours, bank.labels, queries.labels, k=k, temperature=temperature, guesses=guesses
            )
            for guesses in (1, 5)
        ]
        assert scores[k, temperature] == pytest.approx(by_hand), temperature


def test_without_a_vote_a_class_is_no_answer(draw):
    scores = knn_scores(draw(300, 16, 12), draw(100, 16, 12), 12, ks=(1,))[1, 0.1]
    assert scores.top5 == scores.top1 < 100


def test_as_the_temperature_goes_to_0_the_nearest_neighbour_decides(draw):
    bank, queries = draw(300, 16, 12), draw(100, 16, 12)
    first = bank.labels[nearest(bank, queries.loaded(), 1)[1][:, 0]]
    for temperature in (1e-5, 1e-12, 1e-30):
        top1 = knn_scores(bank, queries, 12, ks=(200,), temperatures=(temperature,))[200, temperature].top1
        assert top1 == pytest.approx(100 * np.mean(first == queries.labels))


def test_equal_votes_do_not_help():
    """A collapsed network: all similarities are equal, and each class has as many neighbours."""
    labels = np.arange(40) % 4
    collapsed = Features((np.ones((40, 3), np.float32),), np.arange(40), labels)
    scores = knn_scores(collapsed, collapsed, 4, ks=(40,))[40, 0.1]
    assert scores == (0, 100)


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
        assert top1 <= top5 <= 100
    assert len({score.top1 for score in scores.values()}) > 1


def test_top5_counts_the_five_classes_with_the_most_votes(draw):
    bank, queries = draw(300, 16, 12), draw(100, 16, 12)
    votes = brute_force(bank, queries, 20, 0.1, 12)
    hits = [label in np.argsort(-row)[:5] for row, label in zip(votes, queries.labels, strict=True)]
    scores = knn_scores(bank, queries, 12, ks=(20,))[20, 0.1]
    assert scores.top5 == pytest.approx(100 * np.mean(hits))
    assert scores.top1 < scores.top5 < 100


def test_hits_are_those_of_each_image(draw, monkeypatch):
    monkeypatch.setattr(knn, "_QUERY_CHUNK", 32)
    bank, queries = draw(300, 16, 12), draw(100, 16, 12, parts=2)
    right = brute_force(bank, queries, 20, 0.1, 12).argmax(1) == queries.labels
    first, five = knn_hits(bank, queries, 12, (20,))[20, 0.1]
    np.testing.assert_array_equal(first, right)
    assert (five >= first).all()
    assert 0 < right.sum() < five.sum() < 100


def test_a_subset_of_features_keeps_positions_and_labels(draw):
    features = draw(50, parts=3)
    moved = Features(features.parts, features.index + 100, features.labels)
    rows = np.array([40, 3, 17])
    subset = moved.subset(rows)
    np.testing.assert_array_equal(subset.loaded(), features.loaded()[rows])
    np.testing.assert_array_equal(subset.index, [140, 103, 117])
    np.testing.assert_array_equal(subset.known_labels, features.labels[rows])
    assert Features(features.parts, features.index, None).subset(rows).labels is None


@pytest.mark.parametrize(("k", "recorded"), [(1, 1), (29, 29), (30, 30), (31, 30), (200, 30)])
def test_the_record_says_how_many_neighbours_voted(k, recorded):
    bank = memory_source("few", np.zeros((30, 4, 4, 3), np.uint8), np.arange(30) % 2, 2)
    about = KNNProtocol(bank, bank, k).describe()
    assert (about["k"], about["train_size"]) == (recorded, 30)
