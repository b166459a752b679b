"""Judges what a command answered, and keeps the answers in a file, so that a check that was stopped goes on.

An answer is good if the command did its work, or refused it in one sentence with the right exit code.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any

REFUSALS = {1: "refused by the environment (exit 1)", 2: "refused (exit 2)", 3: "not finite (exit 3)"}
FAULTS = ("traceback", "hang", "died", "silent fault", "no sentence", "wrong exit code")


def make_parser(description: str | None, resumes: bool = True) -> argparse.ArgumentParser:
    """Makes the parser of a check's options.

    Args:
        description: what the check does.
        resumes: whether the check can be stopped, and goes on when it is started again.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="folder of the check")
    if resumes:
        parser.add_argument(
            "--seconds", type=float, default=1e9, help="seconds after which the check stops, to go on later"
        )
        parser.add_argument("--again", action="store_true", help="try the faults again")
    return parser


@dataclasses.dataclass(frozen=True)
class Answer:
    """Holds what one command answered.

    Attributes:
        code: the exit code; negative if a signal ended the process, `None` if it had to be killed.
        seconds: the time that it took.
        out: the text on stdout.
        err: the text on stderr.
    """

    code: int | None
    seconds: float
    out: str
    err: str


def judge(answer: Answer) -> tuple[str, str]:
    """Returns the class of an answer, and the sentence that it said or what is wrong with it.

    Args:
        answer: the answer of train.py or of evaluate.py.
    """
    if answer.code is None:
        return "hang", last_line(answer.out)
    if "Traceback (most recent call last)" in answer.err + answer.out:
        return "traceback", last_line(answer.err)
    if answer.code < 0:
        return "died", f"signal {-answer.code}: {last_line(answer.err)}"
    errors = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    if answer.code in REFUSALS:
        if len(errors) != 1 or not is_sentence(errors[0]):
            return "no sentence", " | ".join(errors)[:300] or last_line(answer.err)
        return REFUSALS[answer.code], errors[0]
    if answer.code == 143:
        said = last_line(answer.out)
        return ("stopped by SIGTERM (exit 143)", said) if "Stopped" in said else ("no sentence", said)
    if answer.code == 0:
        return ("no sentence", errors[0]) if errors else ("done", last_line(answer.out))
    return "wrong exit code", f"{answer.code}: {last_line(answer.err)}"


def is_sentence(text: str) -> bool:
    """Returns whether a text is one line of words that ends as a sentence does, and is not absurdly long."""
    return bool(re.fullmatch(r"[^\n]{10,12000}[.)!?'\"]", text)) and text.isprintable()


def last_line(text: str) -> str:
    """Returns the last line of a text that is not empty, cut to 300 characters."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


class Record:
    """Keeps a line of JSON for each case in a file.

    Args:
        path: the file, which keeps the lines that it has.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.by_case: dict[str, dict[str, Any]] = {}
        for line in map(json.loads, lines):
            self.by_case[line["case"]] = line

    def add(self, case: str, kind: str, said: str, **details: Any) -> None:
        """Adds the answer to a case, in place of an earlier one."""
        line = {"case": case, "class": kind, "said": said, **details}
        self.by_case[case] = line
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def missing(self, cases: Iterable[str], again: bool = False) -> list[str]:
        """Returns the cases that have no answer yet; with `again` also those whose answer is a fault."""
        done = {case for case, line in self.by_case.items() if not (again and line["class"] in FAULTS)}
        return [case for case in cases if case not in done]

    def show(self) -> int:
        """Prints the number of cases of each class and every fault; returns the number of faults."""
        counts = collections.Counter(line["class"] for line in self.by_case.values())
        for kind, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"{count:6} {kind}")
        faults = [line for line in self.by_case.values() if line["class"] in FAULTS]
        for line in faults:
            print(f"FAULT {line['class']}: {line['case']}: {line['said']}")
        print(f"{sum(counts.values()):6} cases, {len(faults)} faults")
        return len(faults)
