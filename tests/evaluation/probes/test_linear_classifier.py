import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe


@pytest.fixture
def problem(rng):
    labels = rng.integers(0, 3, 300)
    return (rng.standard_normal((300, 8)) + 1.5 * np.eye(8)[labels]).astype(np.float32), labels


def train(probe, features, labels, steps=60):
    for step in range(steps):
        part = slice(step % 3 * 100, step % 3 * 100 + 100)
        losses = probe.step(features[part], labels[part])
    return losses.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["lars", "sgd"])
def test_forty_heads_score_as_the_forty_alone(problem, optimizer):
    features, labels = problem
    rates = [0.003 * 2**i for i in range(10) for _ in range(4)]
    decays = [0.0, 1e-4, 1e-3, 1e-2] * 10
    together = LinearProbe(8, 3, optimizer, rates, 60, decays)
    train(together, features, labels)
    accuracy = together.accuracy([(features, labels)])
    alone = []
    for rate, decay in zip(rates, decays, strict=True):
        probe = LinearProbe(8, 3, optimizer, [rate], 60, [decay])
        train(probe, features, labels)
        alone.append(probe.accuracy([(features, labels)])[:, 0])
    np.testing.assert_array_equal(accuracy, np.array(alone).T)
    assert len(np.unique(accuracy[0])) > 3


def test_lars_learns_by_shares_of_the_kernel_s_norm(problem):
    features, labels = problem
    features = features + 2.5 * np.eye(8, dtype=np.float32)[labels]
    probe = LinearProbe(8, 3, "lars", [5.0], 200)
    first = train(probe, features, labels, 1)
    assert train(probe, features, labels, 199) < first / 2
    assert probe.accuracy([(features, labels)])[0, 0] > 95


def test_accuracy_is_over_all_batches(problem):
    features, labels = problem
    probe = LinearProbe(8, 3, "sgd", [1.0], 10)
    train(probe, features, labels, 10)
    whole = probe.accuracy([(features, labels)])
    parts = probe.accuracy([(features[:70], labels[:70]), (features[70:], labels[70:])])
    np.testing.assert_array_equal(whole, parts)
    assert whole[1, 0] == 100  # three classes


def test_a_head_that_diverged_has_no_accuracy(problem):
    features, labels = problem
    probe = LinearProbe(8, 3, "sgd", [1.0, 1e39], 10)
    train(probe, features, labels, 10)
    healthy, diverged = probe.accuracy([(features, labels)])[0]
    assert healthy > 50
    assert np.isnan(diverged)


def test_a_probe_that_diverged_is_not_judged(problem):
    features, labels = problem
    probe = LinearProbe(8, 3, "sgd", [1e39], 10)
    train(probe, features, labels, 10)
    with pytest.raises(FloatingPointError, match=r"diverged: its scores are not finite. Lower it."):
        probe.accuracy_of_one([(features, labels)], "Lower it.")


def test_a_checkpoint_of_tensorflow_sees_every_variable(tmp_path):
    probe = LinearProbe(8, 3, "sgd", [1.0], 10)
    path = tf.train.Checkpoint(probe=probe).save(tmp_path / "checkpoint")
    assert len(tf.train.list_variables(path)) - 2 == len(probe.variables)


def test_hits_are_those_of_each_image_in_order(rng):
    features, labels = rng.standard_normal((40, 6)).astype(np.float32), rng.integers(0, 7, 40)
    probe = LinearProbe(6, 7, "sgd", [0.1], total_steps=1)
    probe.step(features, labels)
    first, five = probe.hits_of_one([(features[:25], labels[:25]), (features[25:], labels[25:])], "")
    order = np.argsort(-probe.logits(features).numpy()[:, 0], axis=1)
    np.testing.assert_array_equal(first, order[:, 0] == labels)
    np.testing.assert_array_equal(five, (order[:, :5] == labels[:, np.newaxis]).any(axis=1))
    assert 0 < first.sum() < five.sum() < 40
