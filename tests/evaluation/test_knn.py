import numpy as np
import pytest

from simsiam_tf.evaluation.features import LabelledFeatures
from simsiam_tf.evaluation.knn import knn_accuracy


def brute_force(bank, queries, k, temperature, classes):
    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    hits = []
    for feature, label in zip(unit(queries.features), queries.labels, strict=True):
        similarity = unit(bank.features) @ feature
        votes = np.zeros(classes)
        for i in np.argsort(-similarity)[:k]:
            votes[bank.labels[i]] += np.exp(similarity[i] / temperature)
        hits.append(votes.argmax() == label)
    return 100 * np.mean(hits)


@pytest.mark.parametrize("k", [1, 10, 200])
def test_equals_brute_force(rng, k):
    def draw(n):
        labels = rng.integers(0, 5, n)
        return LabelledFeatures((rng.standard_normal((n, 8)) + np.eye(8)[labels]).astype(np.float32), labels)

    bank, queries = draw(150), draw(70)
    ours = knn_accuracy(bank, queries, 5, k=k, temperature=0.1, chunk=32)
    assert ours == pytest.approx(brute_force(bank, queries, k, 0.1, 5))
    assert 20 < ours < 100
