import pytest

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.evaluation.probes.on_crops import run_probes
from tests.evaluation.judging import summary

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
