import logging
import sys
import threading
import time

import pytest

from simsiam_tf import progress as module
from simsiam_tf.cli.console import show_messages
from simsiam_tf.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"),
        (1, "1 second"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (89 * 60, "89 minutes"),
        (91 * 60, "2 hours"),
        (47 * 3600, "47 hours"),
        (240 * 3600, "10 days"),
    ],
)
def test_durations_are_said_in_words(seconds, words):
    assert duration(seconds) == words


class Clock:
    """A clock that work moves on; the thread of lines waits for it, as if no time passed in between."""

    def __init__(self):
        self.now, self.work, self.ended = 0.0, [], False

    def set(self):
        self.ended = True

    def wait(self, seconds):
        """Does the work of that many seconds; returns whether all work is done."""
        until = self.now + seconds
        while self.work and self.now + self.work[0][0] <= until:
            takes, act = self.work.pop(0)
            self.now += takes
            act()
        if not self.work:
            return True
        self.work[0] = (self.work[0][0] - (until - self.now), self.work[0][1])
        self.now = until
        return False


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(threading, "Thread", lambda target, daemon: type("Never", (), {"start": lambda self: None})())
    monkeypatch.setattr(threading, "Event", lambda: clock)
    return clock


def test_there_is_one_line_a_minute_with_the_time_left_and_one_at_the_end(clock, console, capsys):
    with Progress("Embedding some/train", 50_000, "image") as progress:
        # The first batch takes 65 seconds, as it is compiled; each of the others 1.5.
        clock.work = [(65.0, lambda: progress.add(500))]
        clock.work += [(1.5, lambda: progress.add(500)) for _ in range(99)]
        progress._log_lines()
    assert capsys.readouterr().out.splitlines() == [
        "Embedding some/train: 0 of 50,000 images, after 60 seconds",
        "Embedding some/train: 18,500 of 50,000 images, about 2 minutes left",
        "Embedding some/train: 38,500 of 50,000 images, about 34 seconds left",
        "Embedding some/train: 50,000 images in 4 minutes",
    ]


def test_a_resumed_run_counts_what_was_done_before_but_not_its_time(clock, console, capsys):
    with Progress("Training", 1000, "step", 500, ends=False) as progress:
        progress.note = " (epoch 6 of 10)"
        clock.work = [(10.0, lambda: progress.add(5)) for _ in range(13)]
        progress._log_lines()
    assert capsys.readouterr().out.splitlines() == [
        "Training: 530 of 1,000 steps (epoch 6 of 10), about 16 minutes left",
        "Training: 560 of 1,000 steps (epoch 6 of 10), about 15 minutes left",
    ]


def test_a_single_call_so_far_gives_a_first_estimate(clock, console):
    progress = Progress("Probe epoch 1 of 2", 100, "image")
    clock.now = 30.0
    progress.add(50, [("paper_loss", 2.30259)])
    assert progress.line() == "Probe epoch 1 of 2: 50 of 100 images, paper_loss 2.303, about 30 seconds left"


def test_work_that_is_done_but_for_its_end_is_finishing(clock, console):
    progress = Progress("Training", 4, "step")
    clock.now = 30.0
    progress.add(4)
    assert progress.line() == "Training: 4 of 4 steps, finishing"


def test_a_thread_logs_the_lines_while_a_step_takes_long(console, capsys, monkeypatch):
    monkeypatch.setattr(module, "_LINE_EVERY_SECONDS", 0.01)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Progress("Work", 3, "step"):
        time.sleep(0.3)
        raise KeyboardInterrupt
    printed = capsys.readouterr().out
    assert printed.startswith("Work: 0 of 3 steps, after less than a second\n")
    assert "Work: 0 steps in" not in printed  # it did not end
    time.sleep(0.1)
    assert threading.active_count() == before


@pytest.mark.parametrize("shown", ["not by the caller", "quiet", "a library user who sets nothing"])
def test_nothing_is_shown_to_those_who_want_nothing(capsys, monkeypatch, request, shown):
    if shown != "a library user who sets nothing":
        request.getfixturevalue("console")
        show_messages(-1 if shown == "quiet" else 0)
    monkeypatch.setattr(module, "_LINE_EVERY_SECONDS", 0.01)
    for terminal in (True, False):
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal)
        with Progress("Work", 3, "step", shown=shown != "not by the caller") as progress:
            time.sleep(0.05)
            progress.add(3)
    assert "".join(capsys.readouterr()) == ""


@pytest.mark.parametrize("ends", [True, False])
def test_a_terminal_has_a_bar_and_no_lines(console, capsys, monkeypatch, ends):
    monkeypatch.setattr(module, "_LINE_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with Progress("Work", 3, "step", 1, ends=ends) as progress:
        time.sleep(0.05)
        progress.add(1, [("loss", 0.5)])
        progress.finish()
    printed = capsys.readouterr().out
    assert ("3/3" in printed and "loss: 0.5" in printed and "\r" in printed) if ends else printed == ""
    assert "Work" not in printed


def test_no_line_has_a_carriage_return(console, capsys, clock):
    assert logging.getLogger("simsiam_tf").isEnabledFor(logging.INFO)
    with Progress("Work", 3, "step") as progress:
        progress.add(3)
    assert capsys.readouterr().out == "Work: 3 steps in less than a second\n"


def test_a_live_line_is_written_over_on_stderr_and_ends_in_a_line(console, capsys, monkeypatch):
    monkeypatch.setattr(module, "_LIVE_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("Work", 3, "step", live=True) as progress:
        progress.add(3)
        time.sleep(0.1)
    printed = capsys.readouterr()
    assert printed.out == "Work: 3 steps in less than a second\n"
    assert "\rWork: 3 of 3 steps, finishing\x1b[K" in printed.err
    assert printed.err.endswith("\r\x1b[K")
    assert progress.seconds < 0.1


def test_without_a_terminal_a_live_line_is_one_a_minute(console, capsys, monkeypatch):
    monkeypatch.setattr(module, "_LINE_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with Progress("Work", 3, "step", live=True):
        time.sleep(0.1)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("Work: 0 of 3 steps, after less than a second\n")
