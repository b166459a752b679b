"""The script of the day on a card, the limits of its rehearsal, and its table."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import gpu_rehearsal
import speed_table

SCRIPT = ROOT / "benchmarks" / "gpu_day.sh"


def test_shellcheck_finds_nothing():
    checker = pathlib.Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([checker, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_without_a_stage_it_says_how_to_use_it():
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for stage in ("export", "take", "bench", "train", "give", "load", "rehearse"):
        assert f"gpu_day.sh {stage}" in done.stdout


@pytest.fixture
def day(tmp_path):
    """Returns a function that runs stages with a Python that only writes down its arguments, and fails for c800."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$JAX_PLATFORMS $@" >>{tmp_path}/said\ncase "$*" in *c800*) exit 1;; esac\n')
    python.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(python), "PLACE": "/p", "OUT": str(tmp_path / "o")}
    environment.pop("JAX_PLATFORMS", None)

    def day(stages, **more):
        line = [SCRIPT, *stages.split()]
        done = subprocess.run(line, env=environment | more, capture_output=True, text=True, check=False)
        said = tmp_path / "said"
        return done, said.read_text().splitlines() if said.exists() else []

    return day


def test_stages_follow_each_other(day, tmp_path):
    done, said = day("take in/4 then train c200 then give c200 weights", CALL_SECONDS="100")
    assert done.returncode == 0
    assert said[0] == " benchmarks/parts.py take --into=/p in/4"
    # On the card alone, and the time of the stages before is taken off.
    assert said[1].startswith("cuda benchmarks/pjrt_run.py run --workdir=/p/c200 --seconds=5")
    assert said[2] == " benchmarks/pjrt_run.py split --workdir=/p/c200"
    assert said[3].endswith("--part_mib=15 --out=" + str(tmp_path / "o" / "weights") + " c200/pjrt=/p/c200/weights")
    assert len(said) == 4


def test_a_stage_that_fails_does_not_keep_the_next_from_its_turn(day):
    """What was trained before a failure still comes back."""
    done, said = day("train c800 then give c200 velocity then take in/4", CALL_SECONDS="100")
    assert done.returncode == 1
    assert "error: this stage failed: train c800" in done.stderr
    assert [line.split()[1] for line in said[1:]] == ["pack", "take"]


@pytest.mark.parametrize(("seconds", "problem"), [("", "needs CALL_SECONDS"), ("45", "no time is left")])
def test_training_without_an_end_is_refused(day, seconds, problem):
    """--seconds=0 would train until the call is killed, and nothing came back."""
    done, said = day("train c200", CALL_SECONDS=seconds)
    assert done.returncode == 2
    assert problem in done.stderr
    assert not said


@pytest.fixture
def card(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_rehearsal.Card, "send", lambda self, carried: sum(p.stat().st_size for p in carried))
    (tmp_path / "card" / "checkout").mkdir(parents=True)
    return gpu_rehearsal.Card(tmp_path, sys.executable, "")


def test_a_call_within_the_limits_brings_its_files_back(card, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    out = card.call('echo hello >$OUT/a; [ -z "$SECRET" ]')
    assert (out / "a").read_text() == "hello\n"
    assert "rc 0; sent 0.0 MiB" in (card.folder / "log.txt").read_text()


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("false", "the command failed"),
        ("sleep 9", "the command failed"),
        ("for i in 1 2 3 4 5 6 7 8 9; do echo 1 >$OUT/$i; done", "more than 8 files came back"),
        ("head -c 17M /dev/zero >$OUT/a", "a file of more than 16 MiB came back"),
        ("mkdir -p $OUT/a/b/c; echo 1 >$OUT/a/b/c/d", "more than two folders down"),
        ("true " + 2000 * "x", "more than 2000 characters"),
    ],
)
def test_a_call_beyond_a_limit_is_an_error(card, command, problem, capsys):
    with pytest.raises(SystemExit):
        card.call(command, seconds=1)
    assert problem in capsys.readouterr().out


def test_more_than_a_call_may_carry_is_an_error(card, tmp_path, capsys):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(SystemExit):
        card.call("true", (tmp_path / "large",))
    assert "more than 64 MiB were sent" in capsys.readouterr().out


def test_the_table_has_the_ratio_and_the_share_of_both(tmp_path):
    ours = {"step_seconds": 0.1, "images_per_second": 240.0, "compile_seconds": 60.0, "peak_gib": 30.0}
    (tmp_path / "default.json").write_text(json.dumps({**ours, "share_of_matrix_rate": 0.5}))
    (tmp_path / "no_triton.json").write_text(json.dumps({**ours, "step_seconds": 0.2, "share_of_matrix_rate": 0.9}))
    (tmp_path / "torch.json").write_text(json.dumps({**ours, "step_seconds": 0.12, "images_per_second": 200.0}))
    (tmp_path / "torch_eager.json").write_text(json.dumps({**ours, "images_per_second": 60.0}))
    (tmp_path / "c200.json").write_text(json.dumps({"losses": []}))
    assert speed_table.rows(tmp_path)[2:] == [
        "| default | 100.0 | 240 | 1.20 | 50 % | 30.0 | 60 |",
        "| no_triton | 200.0 | 240 | 1.20 | 25 % | 30.0 | 60 |",  # by the same rate
        "| torch | 120.0 | 200 | 1.00 | 41.7 % | 30.0 | 60 |",
        "| torch_eager | 100.0 | 60 | 0.30 | 50 % | 30.0 | 60 |",
    ]
