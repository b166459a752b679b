import errno
import os

import keras
import numpy as np
import pytest

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.evaluation.probes.on_crops import run_probes
from simsiam_tf.evaluation.probes.state import ProbeState
from tests.evaluation.judging import summary

NO_STATES = {
    "empty": b"",
    "text": b"mine",
    "zip": b"PK\x03\x04" + bytes(100),
    "array": None,
    "other probe": {"epochs": 3, "seconds": 1.0, "00_kernel": np.zeros([2, 2], np.float32)},
    "text values": {"epochs": 3, "seconds": 1.0, "00_kernel": np.array(["a", "b", "c"])},
    "no count": {"epochs": np.zeros(5), "seconds": 1.0, "00_kernel": np.zeros(3, np.float32)},
    "negative": {"epochs": -3, "seconds": 1.0, "00_kernel": np.zeros(3, np.float32)},
    "not finite": {"epochs": 3, "seconds": np.nan, "00_kernel": np.zeros(3, np.float32)},
}


@pytest.fixture
def variable():
    return keras.Variable(np.ones(3, np.float32), name="kernel")


@pytest.mark.parametrize("kind", [*NO_STATES, "folder", "pipe"])
def test_what_is_no_state_is_said_and_made_anew(tmp_path, variable, console, capsys, kind):
    file = tmp_path / "probes" / "linear.npz"
    state = ProbeState(file, [variable])
    state.save(2, 1.5)
    content = NO_STATES.get(kind)
    if kind == "folder":
        file.unlink()
        file.mkdir()
    elif kind == "pipe":  # a reader would wait forever
        file.unlink()
        os.mkfifo(file)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    elif content is None:
        np.save(file.with_suffix(".npy"), np.zeros(3))
        file.with_suffix(".npy").replace(file)
    else:
        np.savez(file, **content)
    assert state.restore() == (0, 0.0)
    assert "training the probe from the start" in capsys.readouterr().err
    np.testing.assert_array_equal(variable.numpy(), np.ones(3))
    state.save(2, 1.5)
    assert state.restore() == (2, 1.5)
    assert file.with_name("linear.npz.damaged").is_dir() == (kind == "folder")


def test_a_disk_that_fills_leaves_the_last_state(tmp_path, variable, monkeypatch):
    state = ProbeState(tmp_path / "linear.npz", [variable])
    state.save(2, 1.5)

    def full(file, **values):
        file.write(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*linear\.npz'"):
        state.save(3, 2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["linear.npz"]
    assert state.restore() == (2, 1.5)


QUICK = ProbeConfig(probe_epochs=10, probe_batch_size=16, probe_base_learning_rate=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2000, 10**9], ids=["zeroed", "emptied"])
def test_a_damaged_state_is_not_gone_on_from(run, console, capsys, count):
    run_probes(run, QUICK, ("sgd",))
    before = summary(run.workdir.root)["linear_sgd_custom_top1"]["value"]
    (file,) = (run.workdir.root / "probes").glob("*.npz")
    content = file.read_bytes()
    file.write_bytes(content[:-count] + bytes(min(count, len(content))))
    run_probes(run, QUICK, ("sgd",))
    assert "training the probe from the start" in capsys.readouterr().err
    assert summary(run.workdir.root)["linear_sgd_custom_top1"]["value"] == before
