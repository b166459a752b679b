"""The classifiers that probes leave for exports."""

import dataclasses
import logging

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.config.evaluation import EvaluationConfig, ExportConfig, ProbeConfig
from simsiam_tf.evaluation.evaluate import PROTOCOLS
from simsiam_tf.evaluation.probes.classifiers import best_classifier, keep_classifier
from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
from simsiam_tf.interop.classifier import load_classifier


def trained(run):
    probe = LinearProbe(run.backbone.feature_dim, 2, "sgd", [1.0], total_steps=1)
    probe.step(np.ones((4, run.backbone.feature_dim), np.float32), np.array([0, 1, 1, 1]))
    return probe


def test_the_most_accurate_one_is_taken(run):
    assert best_classifier(run) is None
    for name, top1 in (("paper", 60.0), ("sgd_custom", 80.0), ("cached", 70.0)):
        keep_classifier(run, name, trained(run), run.train_source, top1)
    classifier = best_classifier(run)
    assert classifier.top1 == 80
    assert classifier.names == ("0", "1")
    np.testing.assert_array_equal(classifier.kernel, trained(run).kernel.numpy()[:, 0])
    np.testing.assert_array_equal(classifier.bias, trained(run).bias.numpy()[0])
    elsewhere = dataclasses.replace(run, suffix="_flowers_test")
    assert best_classifier(elsewhere) is None


def test_names_of_classes_of_any_characters(run):
    names = ("Käfer", "bad\udcff")
    keep_classifier(run, "cached", trained(run), dataclasses.replace(run.train_source, classes=names), 1.0)
    assert best_classifier(run).names == names


def test_one_of_other_weights_is_not_taken(run):
    keep_classifier(run, "cached", trained(run), run.train_source, 70.0)
    run.backbone.variables[0].assign_add(tf.ones_like(run.backbone.variables[0]))
    assert best_classifier(dataclasses.replace(run)) is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda held: held.pop("bias"), "holds no classifier"),
        (lambda held: held.update(bias=np.zeros(3)), "do not fit"),
        (lambda held: held.update(bias=np.full(2, np.nan)), "not finite"),
    ],
)
def test_a_damaged_one_is_left_out(run, caplog, damage, words):
    keep_classifier(run, "cached", trained(run), run.train_source, 70.0)
    file = run.workdir.root / "classifiers" / "linear_cached.npz"
    held = dict(np.load(file))
    damage(held)
    np.savez(file, **held)
    with pytest.raises(ValueError, match=words):
        load_classifier(file)
    with caplog.at_level(logging.WARNING):
        assert best_classifier(run) is None
    assert "cannot be read and is left out" in caplog.text
    file.write_bytes(b"no file of NumPy")
    assert best_classifier(run) is None


@pytest.mark.slow
def test_an_export_after_a_probe_gives_the_names_of_classes(run):
    named = dataclasses.replace(run.train_source, classes=("dark", "bright"))
    run.__dict__.update(train_source=named, labelled_source=named)
    options = EvaluationConfig(
        probe=ProbeConfig(probe=("cached",), probe_epochs=60, sweep_learning_rates=(9.0,), sweep_weight_decays=(0.0,)),
        export=ExportConfig(format=("savedmodel",)),
    )
    PROTOCOLS["linear"](run, options)
    PROTOCOLS["export"](run, options)
    classify = tf.saved_model.load(str(run.workdir.root / "export")).signatures["classify"]
    source = run.test_source
    out = classify(image=source.images)
    best = np.argmax(out["scores"], axis=1)
    top1 = 100 * np.mean(best == source.labels)
    assert top1 == run.workdir.summary()["linear_cached_top1"]["value"] > 90
    assert out["names"].numpy()[np.arange(len(best)), best].tolist() == [(b"dark", b"bright")[i] for i in best]


@pytest.mark.slow
def test_an_export_from_before_the_probe_says_so(run, caplog):
    options = EvaluationConfig(export=ExportConfig(format=("savedmodel",)))
    with caplog.at_level(logging.INFO):
        PROTOCOLS["export"](run, options)
        PROTOCOLS["export"](run, options)
        assert "class scores" not in caplog.text
        keep_classifier(run, "cached", trained(run), run.train_source, 70.0)
        PROTOCOLS["export"](run, options)
    assert "savedmodel is there already, without class scores; move it away" in caplog.text
