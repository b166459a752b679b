"""What docs/troubleshooting.md tells people is there. Its commands and links are in tests/docs with all others'."""

import re

import pytest

from tests.conftest import ROOT
from tests.docs.parsers import DEFINED_BY, refusal

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.S))


def test_it_answers_thirty_questions():
    numbers = re.findall(r"^#### (\d+)\. \S", PAGE, re.M)
    assert [int(number) for number in numbers] == list(range(1, 31))


@pytest.mark.parametrize("span", sorted({s for s in SPANS if s.startswith("--")} - {"--flagfile"}))
def test_every_flag_is_one_of_a_command(monkeypatch, span):
    monkeypatch.chdir(ROOT)  # for --flagfile
    assert any(not refusal(monkeypatch, name, span.split()) for name in DEFINED_BY if not name.startswith("simsiam-"))


@pytest.mark.parametrize("span", sorted({s for s in SPANS if s.startswith("python ")}))
def test_every_command_in_its_text_is_accepted(monkeypatch, span):
    monkeypatch.chdir(ROOT)
    words = span.split()
    name, arguments = (words[2], words[3:]) if words[1] == "-m" else (words[1], words[2:])
    assert arguments == ["..."] or not refusal(monkeypatch, name, arguments)


def test_files_that_it_names_are_there():
    for path in re.findall(r"flags/recipes/[\w/]+\.flags", PAGE):
        assert (ROOT / path).exists(), path
