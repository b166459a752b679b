"""What machines without TensorFlow do besides steps: kNN, and states that travel in two halves."""

import argparse
import json
import sys

import numpy as np
import pytest

from simsiam_tf.features.embed import Features
from simsiam_tf.features.knn import knn_scores
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import pjrt
import pjrt_files
import pjrt_knn
import pjrt_run


def by_numpy(bank, queries, k):
    similarity = pjrt_knn.unit(queries) @ pjrt_knn.unit(bank).T
    index = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, index, axis=1), index


@pytest.mark.parametrize("spread", [0.5, 2.0, 8.0])
def test_the_vote_is_that_of_evaluate_py(spread, rng, monkeypatch):
    monkeypatch.setattr(pjrt_knn, "nearest", by_numpy)
    centres = rng.normal(size=(10, 16))
    labels = rng.integers(0, 10, 700)
    features = (centres[labels] + spread * rng.normal(size=(700, 16))).astype(np.float32)
    bank, queries = Features.from_array(features[:500], labels[:500]), Features.from_array(features[500:], labels[500:])
    expected = knn_scores(bank, queries, 10)[200, 0.1].top1
    found = pjrt_knn.top1(features[:500], labels[:500], features[500:], labels[500:])
    assert found == pytest.approx(expected, abs=1e-9)
    assert 10 < found <= 100


def test_a_vote_that_is_tied_is_wrong(monkeypatch):
    monkeypatch.setattr(pjrt_knn, "nearest", by_numpy)
    bank, query = np.array([[1.0, 1.0], [1.0, -1.0]], np.float32), np.array([[1.0, 0.0]], np.float32)
    assert pjrt_knn.top1(bank, np.array([0, 1]), query, np.array([0])) == 0.0
    assert pjrt_knn.top1(bank, np.array([0, 0]), query, np.array([0])) == 100.0


@pytest.mark.tpu_compile
def test_the_search_finds_the_nearest(rng):
    pytest.importorskip("jax")
    bank, queries = (rng.normal(size=(n, 8)).astype(np.float32) for n in (300, 20))
    found, expected = pjrt_knn.nearest(bank, queries, 5), by_numpy(bank, queries, 5)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], atol=1e-6)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run" / "pjrt"
    folder.mkdir(parents=True)
    names = ["model/a", "optimizer/iteration", "optimizer/a_momentum", "averages/loss"]
    values = [np.arange(6.0).reshape(2, 3), np.int64(7), np.ones((2, 3)), np.float32(0.5)]
    pjrt_files.write_state(folder / "state.npz", names, values, 7)
    return folder, names, values


def test_a_state_travels_in_two_halves_and_is_whole_again(run):
    folder, names, values = run
    pjrt_files.split_state(folder)
    (folder / "state.npz").unlink()
    (folder.parent / "weights" / "weights.npz").rename(folder / "weights.npz")
    found_names, found_values, step, is_whole = pjrt_files.join_state(folder)
    assert (found_names, step, is_whole) == (["model/a", "averages/loss"], 7, False)
    np.testing.assert_array_equal(found_values[0], values[0])
    assert not (folder / "state.npz").exists()
    (folder.parent / "velocity" / "velocity.npz").rename(folder / "velocity.npz")
    for _ in range(2):  # the second time from state.npz
        found_names, found_values, step, is_whole = pjrt_files.join_state(folder)
        assert (found_names, step, is_whole) == (names, 7, True)
        for found, value in zip(found_values, values, strict=True):
            np.testing.assert_array_equal(found, value)


def test_halves_of_two_states_do_not_mix(run):
    folder, names, values = run
    pjrt_files.split_state(folder)
    (folder.parent / "weights" / "weights.npz").rename(folder / "weights.npz")
    pjrt_files.write_state(folder / "state.npz", names, values, 8)
    pjrt_files.split_state(folder)
    (folder / "state.npz").unlink()
    (folder.parent / "velocity" / "velocity.npz").rename(folder / "velocity.npz")
    assert pjrt_files.join_state(folder)[2:] == (7, False)


def test_older_halves_do_not_take_the_place_of_a_newer_state(run):
    folder, names, values = run
    pjrt_files.split_state(folder)
    for half in ("weights", "velocity"):
        (folder.parent / half / f"{half}.npz").rename(folder / f"{half}.npz")
    pjrt_files.write_state(folder / "state.npz", names, values, 8)
    with pytest.raises(SystemExit, match=r"a state of step 8, .* Received: halves of step 7\."):
        pjrt_files.join_state(folder)
    assert pjrt_files.load_state(folder)[2] == 8


def test_training_goes_on_where_knn_fails(run, monkeypatch):
    """The line of the epoch says why there is no accuracy, and the same process does not try again."""

    def fail(*given):
        raise FloatingPointError("A feature is not finite.")

    monkeypatch.setattr(pjrt_knn, "Knn", fail)
    monkeypatch.setattr(pjrt, "on_first", lambda array: array)
    trainer = object.__new__(pjrt_run.Trainer)
    trainer._options, trainer._knn, trainer._folder = argparse.Namespace(knn_every=2), None, run[0]
    trainer._meta, trainer._images = {"steps": 12}, None
    trainer._plan = argparse.Namespace(steps_per_epoch=4)
    assert [trainer._knn_is_due(epochs) for epochs in (1, 2, 3)] == [False, True, True]
    found = trainer._measured_by_knn()
    assert found == {"knn_top1": None, "knn_failed": "FloatingPointError: A feature is not finite."}
    assert not trainer._knn_is_due(2)


def test_a_resumed_run_forgets_the_lines_of_steps_that_it_takes_again(run, capsys):
    folder = run[0]
    lines = [{"epoch": i, "step": 4 * i, "wall_seconds": 10.0 * i} for i in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = pjrt_files.Record(folder, 8)
    assert record.seconds_before == 20.0
    record.append({"epoch": 3, "step": 12})
    assert [line["step"] for line in pjrt_files.read_lines(folder)] == [4, 8, 12]
    assert json.loads(capsys.readouterr().out) == {"epoch": 3, "step": 12}


def test_a_run_that_is_not_there_says_which_part_lacks(tmp_path):
    folder = tmp_path / "c200" / "pjrt"
    with pytest.raises(SystemExit, match="no part of it was taken"):
        pjrt_files.read_meta(folder)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "index.json").write_text(json.dumps({"parts": [{}, {}, {}]}))
    (tmp_path / "parts" / "part-2").touch()
    with pytest.raises(SystemExit, match="these parts were not taken: 1, 3"):
        pjrt_files.read_meta(folder)
