import io
import logging
import os
import subprocess
import sys

import pytest

from simsiam_tf.cli import console as console_module
from simsiam_tf.cli.console import leave_stdout_to_data, show_messages
from simsiam_tf.config.messages import RESULT
from tests.conftest import ROOT

LOG = logging.getLogger("simsiam_tf.some.module")


def say_all():
    LOG.debug("details")
    LOG.info("progress")
    LOG.log(RESULT, "result")
    LOG.warning("careful")
    LOG.error("wrong")


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [(-1, ["result"]), (0, ["progress", "result"]), (1, ["details", "progress", "result"])],
)
def test_messages_are_bare_on_stdout_and_warnings_go_to_stderr(console, capsys, verbosity, shown):
    show_messages(verbosity)
    say_all()
    printed = capsys.readouterr()
    assert printed.out.splitlines() == shown
    assert printed.err == "warning: careful\nerror: wrong\n"


def test_a_message_cannot_give_the_terminal_commands(console, capsys):
    LOG.warning("the class \x1b[31mred\x07 and \u202egnp.exe\nare two")
    assert capsys.readouterr().err == "warning: the class \\x1b[31mred\\x07 and \\u202egnp.exe\nare two\n"


def test_stdout_can_be_left_to_data(console, capsys):
    leave_stdout_to_data()
    logging.getLogger("simsiam_tf.some.module").info("progress")
    logging.getLogger("simsiam_tf.some.module").warning("careful")
    assert capsys.readouterr() == ("", "progress\nwarning: careful\n")


def test_a_message_is_printed_once_even_if_the_root_logger_prints_too(console, capsys):
    root = logging.StreamHandler(sys.stderr)
    logging.root.addHandler(root)
    try:
        show_messages()
        show_messages()
        LOG.warning("careful")
    finally:
        logging.root.removeHandler(root)
    assert capsys.readouterr().err == "warning: careful\n"


def test_without_a_handler_only_warnings_are_shown(monkeypatch, capsys):
    """As in a program that uses the package and sets nothing: Python's handler of last resort."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.lastResort, "_stderr", None, raising=False)
    say_all()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "careful\nwrong\n"


def test_a_path_that_is_not_utf8_is_shown_with_escapes():
    """The stream alone is tested: pytest-xdist cannot send what a handler of pytest would record of such a message."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console_module._print(f"Wrote {os.fsdecode(b'/caf' + bytes([0xE9]))}.\n", out)
    assert out.buffer.getvalue() == b"Wrote /caf\\udce9.\n"


PRINTS = """
import logging, sys, rich.console
from absl import flags
from simsiam_tf.cli import entry_point

def work():
    logging.getLogger("simsiam_tf.x").info("Embedding データ")
    print("データ")
    rich.console.Console().print("データ")
    raise ValueError("データ")

entry_point.run(lambda: None, work, "Works on データ.")
"""
BAR = """
import keras
from simsiam_tf.cli import entry_point
from simsiam_tf.progress import Progress

def work():
    with Progress("Embedding データ", 1, "データ") as progress:
        progress._bar = keras.utils.Progbar(1, unit_name="データ")
        progress.add(1)
    keras.utils.Progbar(1, stateful_metrics=["データ"]).update(1, [("データ", 1.0)])

entry_point.run(lambda: None, work, "")
"""


def printed_by(program, *arguments, encoding="cp1252"):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    printed = (done.stdout + done.stderr).decode(encoding)
    assert "UnicodeEncodeError" not in printed
    assert "\\u30c7\\u30fc\\u30bf" in printed
    return done.returncode


@pytest.mark.parametrize(
    ("arguments", "code"),
    [((), 1), (("--help",), 0), (("--データ=1",), 2), (("データ",), 2), (("--flagfile=データ",), 2)],
)
def test_a_console_that_lacks_characters_gets_escapes(arguments, code):
    assert printed_by(PRINTS, *arguments) == code


@pytest.mark.slow
def test_a_progress_bar_is_shown_on_a_console_that_lacks_characters():
    assert printed_by(BAR, encoding="ascii") == 0
