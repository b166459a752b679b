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


def test_stages_follow_each_other_until_one_fails(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/said\ncase "$*" in *c800*) exit 1;; esac\n')
    python.chmod(0o755)
    environment = {
        **os.environ,
        "PYTHON": str(python),
        "PLACE": "/p",
        "OUT": str(tmp_path / "o"),
        "CALL_SECONDS": "100",
    }
    stages = [
        "take",
        "in/4",
        "then",
        "train",
        "c200",
        "then",
        "give",
        "c200",
        "weights",
        "then",
        "give",
        "c800",
        "weights",
    ]
    done = subprocess.run([SCRIPT, *stages, "then", "bench"], env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    said = (tmp_path / "said").read_text().splitlines()
    assert said[0] == "benchmarks/parts.py take --into=/p in/4"
    assert said[1].startswith("benchmarks/pjrt_run.py run --workdir=/p/c200 --seconds=70 --knn_every=20")
    assert said[2] == "benchmarks/pjrt_run.py split --workdir=/p/c200"
    assert said[3].endswith("--part_mib=15 --out=" + str(tmp_path / "o" / "weights") + " c200/pjrt=/p/c200/weights")
    assert said[4] == "benchmarks/pjrt_run.py split --workdir=/p/c800"
    assert len(said) == 5


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
    (tmp_path / "torch.json").write_text(json.dumps({**ours, "step_seconds": 0.12, "images_per_second": 200.0}))
    (tmp_path / "c200.json").write_text(json.dumps({"losses": []}))
    assert speed_table.rows(tmp_path)[2:] == [
        "| default | 100.0 | 240 | 1.20 | 50 % | 30.0 | 60 |",
        "| torch | 120.0 | 200 | 1.00 | 41.7 % | 30.0 | 60 |",
    ]
