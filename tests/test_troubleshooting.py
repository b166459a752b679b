"""What docs/troubleshooting.md tells people to type is accepted by this program, and files that it names are there."""

import re
import shlex

import pytest
from absl import flags

from simsiam_tf.cli import flags as module
from simsiam_tf.cli.command_line import parse_flags
from simsiam_tf.cli.doctor_flags import define_doctor_flags
from simsiam_tf.cli.transfer_flags import define_transfer_flags
from simsiam_tf.errors import UsageError
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, re.S)
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.S))
COMMANDS = [line for block in BLOCKS for line in block.splitlines()] + [s for s in SPANS if s.startswith("python ")]
DEFINED_BY = {
    "train.py": module.define_training_flags,
    "evaluate.py": module.define_evaluation_flags,
    "transfer.py": define_transfer_flags,
    "simsiam_tf.cli.prepare": module.define_prepare_flags,
    "simsiam_tf.cli.convert": module.define_conversion_flags,
    "simsiam_tf.cli.inspect": module.define_inspect_flags,
    "simsiam_tf.augment.preview": module.define_preview_flags,
    "simsiam_tf.cli.preview": module.define_preview_flags,
    "simsiam_tf.cli.doctor": define_doctor_flags,
    "simsiam_tf.cli.replay": module.define_workdir_flag,
}


@pytest.fixture
def accepts(monkeypatch):
    """Whether a command takes some flags."""
    monkeypatch.chdir(ROOT)  # for --flagfile

    def tried(name: str, arguments: list[str]) -> bool:
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())  # as in a new process
        DEFINED_BY[name]()
        if len(arguments) == 1 and "=" not in arguments[0] and arguments[0].lstrip("-") in flags.FLAGS:
            return True  # a flag that is only named
        try:
            return parse_flags([name, *arguments]) == [name]
        except UsageError:
            return False

    return tried


def test_it_answers_thirty_questions():
    numbers = re.findall(r"^#### (\d+)\. \S", PAGE, re.M)
    assert [int(number) for number in numbers] == list(range(1, 31))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_accepted(accepts, command):
    words = shlex.split(command)
    assert words[0] == "python"
    name, arguments = (words[2], words[3:]) if words[1] == "-m" else (words[1], words[2:])
    if arguments != ["..."]:
        assert accepts(name, arguments)


@pytest.mark.parametrize("span", sorted({s for s in SPANS if s.startswith("--")} - {"--flagfile"}))
def test_every_flag_is_one_of_a_command(accepts, span):
    assert any(accepts(name, span.split()) for name in DEFINED_BY)


def test_files_that_it_names_are_there():
    for path in re.findall(r"flags/recipes/[\w/]+\.flags", PAGE):
        assert (ROOT / path).exists(), path
