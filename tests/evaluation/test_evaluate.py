"""The protocols of evaluate.py, and the runs that they take."""

import pathlib
import shutil

import pytest

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EVALUATION_GROUPS, EvaluationConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation import evaluate as evaluation
from simsiam_tf.evaluation.evaluate import PROTOCOLS, evaluate
from simsiam_tf.evaluation.loaded_run import LoadedRun
from tests.conftest import run_script
from tests.evaluation.judging import RECORD, judge, summary


def test_knn_records_every_k_and_temperature(tiny_run):
    judge(tiny_run, protocol="knn", knn_k=(5, 200), knn_temperature=(0.1, 0.07))
    records = summary(tiny_run)
    for name, k, temperature in (
        ("knn_top1", 5, 0.1),
        ("knn_top5_k200_t0.07", 200, 0.07),
        ("knn_top1_k5_t0.07", 5, 0.07),
    ):
        assert (records[name]["k"], records[name]["temperature"]) == (k, temperature)
        assert set(records[name]) >= RECORD
    assert records["knn_top5"]["value"] >= records["knn_top1"]["value"]
    assert records["online_probe_top1"]["protocol"].startswith("online")
    assert "centre crops of shapes/test" in records["online_probe_top1"]["protocol"]
    assert "offline" not in records["online_probe_top1"]["protocol"]


@pytest.mark.parametrize(
    ("paths", "protocol", "message"),
    [
        ((), "knn", "--workdir must name the folder of one run of train.py. Received: none"),
        (("a", "b"), "knn", "--workdir must name the folder of one run of train.py. Received: a, b"),
        ((), "report", "--workdir must name the folders of one run or more"),
        (("a", "b"), ("report", "knn"), "--workdir must name the folder of one run of train.py. Received: a, b"),
    ],
)
def test_only_the_report_takes_several_runs(paths, protocol, message):
    with pytest.raises(UsageError, match=message):
        judge(*paths, protocol=protocol)


def test_a_tpu_of_several_hosts_is_refused_before_it_is_connected_to(tmp_path, monkeypatch):
    task = EVALUATION_GROUPS["task"](protocol=("knn",))
    options = EvaluationConfig(**{name: group() for name, group in EVALUATION_GROUPS.items()} | {"task": task})
    devices = DeviceConfig(tpu="grpc://127.0.0.1:1,grpc://127.0.0.1:2")
    with pytest.raises(UsageError, match=r"^--tpu must have one host .* Received: 'grpc:.*', with 2 hosts\.$"):
        evaluate([str(tmp_path)], options, {}, devices)
    # What a name stands for is known once it is connected to.
    monkeypatch.setattr(evaluation, "make_strategy", lambda devices: None)
    monkeypatch.setattr(evaluation, "hosts_of_tpu", lambda strategy: 4)
    with pytest.raises(UsageError, match=r"^--tpu must have one host .* Received: 'pod', with 4 hosts\.$"):
        evaluate([str(tmp_path)], options, {}, DeviceConfig(tpu="pod"))


def test_several_protocols_run_in_the_order_given_each_once(tiny_run, monkeypatch):
    done = []
    for name in ("knn", "linear", "export"):
        monkeypatch.setitem(PROTOCOLS, name, lambda run, options, name=name: done.append((name, run.workdir.root)))
    judge(tiny_run, protocol=("export", "knn", "export", "linear", "knn"))
    assert done == [("export", tiny_run), ("knn", tiny_run), ("linear", tiny_run)]


@pytest.mark.long
def test_two_devices_give_the_numbers_of_one(tiny_run, tmp_path):
    """Within three of a thousand images."""
    options = {"label_fraction": 0.02, "finetune_epochs": 2}
    both = shutil.copytree(tiny_run, tmp_path / "both")
    for protocol in ("knn", "finetune"):
        judge(tiny_run, protocol=protocol, **options)
        flags = [f"--{name}={value}" for name, value in options.items()]
        done = run_script("evaluate.py", f"--workdir={both}", f"--protocol={protocol}", "--cpu_devices=2", *flags)
        assert done.returncode == 0, done.stderr
    for name in ("knn_top1", "knn_top5", "finetune_2pct_top1"):
        assert summary(both)[name]["checkpoint"] == "step-8", name
        assert summary(both)[name]["value"] == pytest.approx(summary(tiny_run)[name]["value"], abs=0.3), name


def cannot_be_written(folder):
    (folder / "file").write_text("in the way")
    return [folder / "file" / "out.png", pathlib.Path("/proc/nothing/out.png"), folder / f"{'n' * 5000}.png"]


@pytest.mark.parametrize("protocol", ["embed", "neighbours", "report"])
@pytest.mark.parametrize("number", range(3), ids=["below a file", "in /proc", "too long"])
def test_an_out_that_cannot_be_written_is_refused_before_anything_is_loaded(tmp_path, monkeypatch, protocol, number):
    monkeypatch.setattr(LoadedRun, "load", lambda *args, **kwargs: pytest.fail("loaded"))
    out = cannot_be_written(tmp_path)[number]
    with pytest.raises(UsageError, match=r"^--out must be a path that can be written \(.*\)\. Received: /"):
        judge("run", protocol=("knn", protocol) if protocol != "report" else "report", out=str(out))


def test_an_out_that_exists_is_refused_before_anything_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(LoadedRun, "load", lambda *args, **kwargs: pytest.fail("loaded"))
    with pytest.raises(UsageError, match="--out exists and is not overwritten"):
        judge("run", protocol=("knn", "embed"), out=str(tmp_path))


def test_an_export_that_is_refused_is_not_on_record(tiny_run):
    before = (tiny_run / "summary.json").read_bytes()
    with pytest.raises(UsageError, match="--format=timm holds networks of width 1"):
        judge(tiny_run, protocol=("export",), format=("keras", "timm"))
    assert (tiny_run / "summary.json").read_bytes() == before
    assert not (tiny_run / "export").exists()
