import io
import logging
import os
import sys

import pytest

from simsiam_tf.cli import console as console_module
from simsiam_tf.cli.console import show_messages
from simsiam_tf.config.messages import RESULT

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
