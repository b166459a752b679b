"""Every command of the pages is taken by its parser, and is run by a test or marked with what it needs.

A mark is `<!-- needs: ... -->` before a block, `needs: ...` on a line after it, or `needs: ...` in the row of a table.
"""

import ast
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.docs.commands import PAGES, Command, commands_of
from tests.docs.parsers import DEFINED_BY, TAKES_WORDS, refusal

COMMANDS = [command for page in PAGES for command in commands_of(page)]
OURS = [command for command in COMMANDS if command.program in DEFINED_BY and command.arguments != ["..."]]
# What these programs need is plain from their names, and is not here.
OUTSIDE = ("sbatch", "kubectl", "docker", "gcloud", "launch/tpu.sh")
_RUN = "tests/e2e/test_scripts.py::test_evaluation_adds_to_the_summary"
_PROTOCOLS = "tests/e2e/test_gs.py::test_every_protocol_reads_and_writes_a_bucket"
_PHOTOGRAPHS = "tests/e2e/test_own_photographs.py::test_one_command_chooses_trains_and_shows_the_result"
_INSPECT = "tests/cli/test_inspect.py::test_the_last_line_says_what_was_written"
_TRANSFER = "tests/e2e/test_transfer.py::test_a_pretrained_run_gives_its_backbone"
_DETECTION = "tests/e2e/test_transfer.py::test_a_voc_set_goes_through_training_and_evaluation"
_RUNS = "tests/cli/test_runs.py"
_WHEEL = ".ci/try_wheel"
# The test, or the script of CI, that runs a command of this form.
RUN_BY = {
    r"python train\.py --dataset=folder --data_dir=\S+ --workdir=\S+": _PHOTOGRAPHS,
    r"python evaluate\.py --protocol=export --workdir=\S+": _RUN,
    r"python evaluate\.py --protocol=linear --probe=cached --workdir=\S+": _RUN,
    r"python evaluate\.py --protocol=linear,export --probe=cached --workdir=\S+": _PROTOCOLS,
    r"python evaluate\.py --protocol=embed --workdir=\S+ --out=\S+( --train_split=test)?": _PROTOCOLS,
    r"python evaluate\.py --protocol=embed --workdir=\S+": (
        "tests/evaluation/test_embeddings.py::test_embed_writes_a_row_for_each_image_of_a_folder"
    ),
    r"python evaluate\.py --protocol=neighbours --query=\S+ --workdir=\S+": (
        "tests/evaluation/test_neighbours.py::test_neighbours_begin_with_the_image_itself_where_it_is_there"
    ),
    r"python -m simsiam_tf\.cli\.inspect --dataset=folder --data_dir=\S+ --out=\S+": _INSPECT,
    r"python -m simsiam_tf\.cli\.doctor( --\w+=\S+)*": (
        "tests/cli/test_doctor.py::test_the_command_judges_this_machine_and_a_tiny_run"
    ),
    r"python -m simsiam_tf\.(cli|augment)\.preview --\S+ --(\w+=\S+ ?)*(--\w+=\S+ ?)*": (
        "tests/e2e/test_scripts.py::test_the_preview_is_a_picture_and_overwrites_nothing"
    ),
    r"python transfer\.py --(recipe|flagfile)=\S*transfer/made\S* --backbone=\S+ --workdir=\S+": _TRANSFER,
    r"python evaluate\.py --protocol=detection,report --workdir=\S+": _DETECTION,
    r"python -m simsiam_tf\.cli\.runs list \S+": f"{_RUNS}::test_list_prints_a_table_and_what_was_not_opened",
    r"python -m simsiam_tf\.cli\.runs compare \S+ \S+": f"{_RUNS}::test_compare_prints_settings_and_results",
    r"python -m simsiam_tf\.cli\.runs show \S+": f"{_RUNS}::test_show_of_one_run_is_what_the_command_show_prints",
    r"python -m simsiam_tf\.cli\.runs show \S+ \S+": (
        f"{_RUNS}::test_the_report_of_several_runs_is_beside_them_or_where_it_is_asked_for"
    ),
    r"simsiam-train --recipe=shapes_demo( --\w+=\S+)* --workdir=\S+": _WHEEL,
    r"simsiam-evaluate --protocol=knn,linear,report,export --probe=cached --workdir=\S+": _WHEEL,
    r"pip install \.": _WHEEL,
}


def is_made_by_hand(command: Command) -> bool:
    """Returns whether a command is one of make, pip or pytest, of which other tests of this file check the parts."""
    return command.program in ("make", "pip", "pytest") or command.program in OUTSIDE


def test_there_are_commands_on_the_pages():
    assert len(COMMANDS) > 80
    assert {"README.md", "docs/start.md", "docs/adding/method.md", "docs/troubleshooting.md"} <= {
        c.page for c in COMMANDS
    }


@pytest.mark.parametrize("command", OURS, ids=lambda command: f"{command.page}: {command.text}")
def test_its_parser_takes_it(monkeypatch, command):
    monkeypatch.chdir(ROOT)  # for --flagfile
    arguments = [argument.replace("$TPU_NAME", "NAME") for argument in command.arguments]
    assert not refusal(monkeypatch, command.program, arguments, words=command.program in TAKES_WORDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.text}")
def test_it_is_run_by_a_test_or_says_what_it_needs(command):
    is_only_named = not command.arguments or command.arguments == ["..."]
    is_run = any(re.fullmatch(form, command.text) for form in RUN_BY)
    assert command.needs or is_run or is_made_by_hand(command) or is_only_named, (
        f"{command.page} shows a command that no test is known to run; name the test in RUN_BY, or write "
        f"<!-- needs: ... --> before the block: {command.text}"
    )


@pytest.mark.parametrize("form", RUN_BY)
def test_the_test_that_runs_it_is_there(form):
    file, _, name = RUN_BY[form].partition("::")
    assert (ROOT / file).exists(), file
    if name:
        functions = [
            node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)
        ]
        assert name in functions, f"{file} has no {name}"
    assert any(re.fullmatch(form, command.text) for command in COMMANDS), f"no page has this: {form}"


def test_what_make_and_pip_name_is_there():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    for command in COMMANDS:
        if command.program == "make":
            assert command.arguments[0] in targets, command.text
        for file in re.findall(r"-r (\S+)", command.text) if command.program == "pip" else []:
            assert (ROOT / file).exists(), command.text
        for path in re.findall(r"tests/[\w/.]+", command.text):
            assert (ROOT / path).exists(), command.text


def test_a_command_that_is_not_known_is_seen(monkeypatch):
    assert refusal(monkeypatch, "train.py", ["--no_such_flag=1"])
    page = ROOT / "docs" / "start.md"
    assert any(command.text == "make demo" for command in commands_of(page))


@pytest.mark.slow
def test_the_first_commands_of_the_pages_run(tmp_path):
    """The demo by its recipe's name, made small, and what looks at runs, views and images."""
    small = ["--epochs=1", "--max_examples=128", "--width=0.0625", "--projector_dim=16", "--predictor_dim=8"]
    shown, environment = {command.text for command in COMMANDS}, {**os.environ, "PYTHONPATH": str(ROOT)}
    for i in range(8):
        path = tmp_path / "DIR" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (30 * i, 90, 200)).save(path)
    for text, more in {
        "simsiam-train --recipe=shapes_demo --workdir=runs/demo": [*small, "--knn_every_epochs=0"],
        "python -m simsiam_tf.cli.runs list runs": [],
        "python -m simsiam_tf.cli.inspect --dataset=folder --data_dir=DIR --out=OUT": [],
        "python -m simsiam_tf.cli.preview --recipe=shapes_demo --out=preview.png": [],
    }.items():
        assert text in shown, text
        words = text.replace("simsiam-", "python -m simsiam_tf.cli.").split()
        arguments = [sys.executable, *words[1:], *more]
        done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "demo" / "summary.json").exists()
    assert (tmp_path / "preview.png").exists()
    assert list((tmp_path / "OUT").iterdir())
