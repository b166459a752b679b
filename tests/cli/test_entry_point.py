"""From a command line to messages and an exit code, in this process."""

import errno
import logging
import os
import subprocess
import sys

import pytest
import tensorflow as tf
from absl import flags

from simsiam_tf.cli import entry_point
from simsiam_tf.cli.console import verbosity_flag
from simsiam_tf.config.messages import RESULT
from simsiam_tf.errors import Stopped, UsageError
from tests.conftest import ROOT

READING_AHEAD = """
import sys, time
import tensorflow as tf
from simsiam_tf.cli import entry_point

def slow(i):
    time.sleep(0.3)
    return i

def work():
    data = tf.data.Dataset.range(100).map(lambda i: tf.numpy_function(slow, [i], tf.int64)).prefetch(8)
    iterator = iter(data)
    next(iterator)
    held = [iterator]
    held.append(held)  # a cycle, as Keras makes them, which only the garbage collector takes apart

sys.argv = ["command"]
entry_point.run(lambda: None, work, "Reads ahead.")
"""
LOG = logging.getLogger("simsiam_tf.some.module")


@pytest.fixture
def run(console, monkeypatch):
    """Runs a command with the given arguments; returns its exit code."""
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())  # as in a new process

    def run(*arguments, work=lambda: None):
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        try:
            entry_point.run(lambda: None, work, "Does something.")
        except SystemExit as stop:
            return stop.code
        return 0

    return run


def say():
    LOG.debug("details")
    LOG.info("progress")
    LOG.log(RESULT, "result")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], ["progress", "result"]),
        (["--verbosity=quiet"], ["result"]),
        (["--verbosity", "normal"], ["progress", "result"]),
        (["--verbosity=debug"], ["details", "progress", "result"]),
    ],
)
def test_verbosity_chooses_the_messages(run, capsys, arguments, shown):
    assert run(*arguments, work=say) == 0
    assert capsys.readouterr().out.splitlines() == shown


def test_a_wrong_verbosity_is_one_sentence(run, capsys):
    assert run("--verbosity=loud", work=say) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: flag --verbosity=loud: it must be one of quiet, normal, debug.\n"


def test_help_explains_the_verbosity(run, capsys):
    assert run("--help") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Does something." in printed
    assert "--verbosity: Messages to show." in printed
    assert "(default: 'normal') (quiet|normal|debug)" in printed


@pytest.mark.parametrize("given", [[], ["--verbosity=debug"]])
def test_absl_may_define_its_own_verbosity_afterwards(run, given):
    """As when TensorFlow is imported once the flags are parsed."""
    seen = []

    def work():
        seen.append(verbosity_flag())
        flags.DEFINE_integer("verbosity", -1, "Logging verbosity level.", short_name="v", flag_values=flags.FLAGS)

    assert run(*given, work=work) == 0
    assert seen == [1 if given else 0]


def test_a_flag_of_the_same_name_may_be_there_before(run):
    flags.DEFINE_integer("verbosity", -1, "Logging verbosity level.", short_name="v", flag_values=flags.FLAGS)
    seen = []
    assert run("--verbosity=quiet", work=lambda: seen.append(verbosity_flag())) == 0
    assert seen == [-1]


def failing(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("The rule.\n  Received: 3."), 2),
        (FloatingPointError("The rule. Received: 3."), 3),
        (ConnectionError("The rule. Received: 3."), 1),
    ],
)
def test_an_error_is_one_sentence_and_debug_shows_where_it_came_from(run, capsys, error, code):
    assert run(work=failing(error)) == code
    assert capsys.readouterr().err == "error: The rule. Received: 3.\n"
    assert run("--verbosity=debug", work=failing(error)) == code
    printed = capsys.readouterr()
    assert printed.err == "error: The rule. Received: 3.\n"
    assert "Traceback" in printed.out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), 1, "No space left on device: runs/a; make room"),
        (MemoryError(), 1, "There is not enough memory; lower --global_batch_size"),
        (tf.errors.ResourceExhaustedError(None, None, "/a; No space left on device"), 1, "/a; No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), 2, "Permission denied: 'runs/a'"),
    ],
)
def test_a_failure_of_the_machine_is_one_sentence(run, capsys, error, code, words):
    assert run(work=failing(error)) == code
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert words in printed
    assert printed.count("\n") == 1


def test_a_mistake_of_ours_keeps_its_traceback(run, capsys):
    assert run(work=failing(ValueError("a bug"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_flag_with_a_value_that_it_does_not_take_is_one_sentence(run, capsys):
    flags.DEFINE_bool("resume", True, "Continue.", flag_values=flags.FLAGS)
    assert run("--noresume=1") == 2
    assert capsys.readouterr().err == "error: --noresume=1 does not take an argument. Received: --noresume=1.\n"


def test_a_stop_is_said_even_to_the_quiet(run, capsys):
    assert run("--verbosity=quiet", work=failing(Stopped("Stopped; saved at step 3.", 143))) == 143
    assert capsys.readouterr().out == "Stopped; saved at step 3.\n"


def test_an_error_is_one_line_that_a_terminal_can_show():
    assert entry_point.one_line("a\n b\x1b[31m") == "a b\\x1b[31m"
    assert len(entry_point.one_line("x" * 70_000)) < 4100


def test_a_command_ends_while_its_data_set_still_reads_ahead():
    done = subprocess.run([sys.executable, "-c", READING_AHEAD], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


UNREAD = """
import logging, sys, time
from simsiam_tf.cli import entry_point

def work():
    if sys.argv.pop() == "prints":
        print("\\n" * 100_000)
    for i in range(3):
        logging.getLogger("simsiam_tf").warning("more")
        logging.getLogger("simsiam_tf").info("more")
    print("reached the end", file=sys.stderr)

sys.argv, kind = sys.argv[:1], sys.argv[1]
entry_point.run(lambda: None, lambda: sys.argv.append(kind) or work(), "Prints much.")
"""


@pytest.mark.parametrize(("kind", "code"), [("prints", 141), ("logs", 0)])
def test_output_that_nobody_reads_any_more_ends_a_listing_and_not_a_run(kind, code, tmp_path):
    (tmp_path / "command.py").write_text(UNREAD)
    command = [sys.executable, str(tmp_path / "command.py"), kind]
    options = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == code
    assert "Broken pipe" not in said and "Traceback" not in said
    assert ("reached the end" in said) is (kind == "logs")


@pytest.mark.parametrize(
    ("called", "shown"),
    [("train.py", "python train.py --a or python -m simsiam_tf.cli.doctor, python -m simsiam_tf.reproduce"),
     ("bin/simsiam-train", "simsiam-train --a or simsiam-doctor, simsiam-reproduce")],
)  # fmt: skip
def test_the_examples_of_help_are_of_the_command_as_it_was_called(called, shown, console, monkeypatch, capsys):
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    monkeypatch.setattr(sys, "argv", [called, "--help"])
    text = "python train.py --a or python -m simsiam_tf.cli.doctor, python -m simsiam_tf.reproduce"
    entry_point.run(lambda: None, lambda: None, text)
    assert capsys.readouterr().out.startswith(shown)


def test_words_are_refused_unless_a_command_takes_them(run, capsys, monkeypatch):
    assert run("word") == 2
    assert capsys.readouterr().err == "error: Arguments must be flags, as --name=value. Received: word.\n"
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    monkeypatch.setattr(sys, "argv", ["command", "first", "--verbosity=quiet", "help"])
    taken = []
    entry_point.run_with_words(lambda: None, taken.append, "Takes words.")
    assert taken == [["first", "help"]]
    assert run("help") == 0
    assert "Does something." in capsys.readouterr().out
