"""Our step without TensorFlow: compiled for a TPU, and run through JAX. `make test-tpu` has what it needs."""

import json
import re

import pytest

from tests.conftest import TINY_FLAGS, run_script

pytestmark = pytest.mark.tpu_compile
pytest.importorskip("jax")


def test_a_tiny_step_compiles_for_a_tpu(tmp_path):
    path = tmp_path / "result.json"
    done = run_script("benchmarks/tpu_compile.py", *TINY_FLAGS, "--precision=bfloat16", f"--json={path}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("Fits: resnet18 at 32, 4 images a core in bfloat16")
    result = json.loads(path.read_text())
    assert result["fits"]
    assert 0 < result["needed_gib"] < 0.1
    assert 0 < result["all_reduces_compiled"] <= result["all_reduces"]


def test_what_does_not_fit_is_refused():
    flags = [*TINY_FLAGS, "--image_size=224", "--global_batch_size=400000", "--precision=bfloat16"]
    done = run_script("benchmarks/tpu_compile.py", *flags)
    assert done.returncode == 1
    assert re.search(r"error: it does not fit. .*RESOURCE_EXHAUSTED", done.stderr)


def test_jax_takes_tensorflow_s_steps_and_the_state_comes_back(tmp_path):
    run, result = tmp_path / "run", tmp_path / "result.json"

    def pjrt(*arguments):
        done = run_script("benchmarks/pjrt_run.py", *arguments, f"--workdir={run}", JAX_PLATFORMS="cpu")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    # Without random colours, whose float32 two versions of XLA round differently.
    exact = ["--precision=float64", "--augmentation=none", "--epochs=6"]
    pjrt("export", *TINY_FLAGS, *exact, "--check_steps=20")
    pjrt("run", "--steps=20", f"--json={result}")
    found = json.loads(result.read_text())
    assert found["compared_steps"] == 20
    assert found["loss_apart"] < 1e-9
    assert found["state_apart"] < 1e-9
    assert 0 < found["share_of_matrix_rate"] < 1
    assert "Done: the state of step 24" in pjrt("run", "--knn_every=6")[-1]  # goes on from the 20th
    pjrt("split")
    (run / "pjrt" / "state.npz").unlink()
    (run / "weights" / "weights.npz").rename(run / "pjrt" / "weights.npz")
    assert "with weights alone" in pjrt("load")[-1]
    done = run_script("evaluate.py", "--protocol=knn", "--knn_max_examples=64", f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    of_lines = [json.loads(line).get("knn_top1") for line in (run / "pjrt" / "metrics.jsonl").read_text().splitlines()]
    by_us = json.loads((run / "summary.json").read_text())["knn_top1"]["value"]
    assert of_lines[-1] == pytest.approx(by_us, abs=0.1)  # one of 1000 images may be tied
    assert of_lines[:-1] == [None] * (len(of_lines) - 1)
    (run / "velocity" / "velocity.npz").rename(run / "pjrt" / "velocity.npz")
    assert "for train.py to go on from" in pjrt("load")[-1]
    done = run_script("train.py", *TINY_FLAGS, *exact, f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "summary.json").read_text())["loss"]["value"] < 0
