"""The rows of checks that hang, die and fail, and of those around them."""

import contextlib
import os
import pathlib
import time

import pytest

from simsiam_tf.doctor.checks import Asked, Check, Outcome
from simsiam_tf.doctor.runner import Runner
from tests.conftest import ROOT
from tests.doctor.runs import config_of


def check(name, process="plain", **options):
    return Check(name, f"tests.doctor.odd_checks:{name}", process, **options)


@pytest.fixture
def rows():
    def rows(*checks, asked=None, **options):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        runner = Runner(checks, asked or Asked(), environment, **{"limit": 1.0, "loading_limit": 60.0, **options})
        return [(row.state, row.value, row.advice) for row in runner.results()]

    return rows


def test_checks_that_hang_or_die_are_rows_and_the_others_go_on(rows):
    begun = time.monotonic()
    first, hung, after, died, last = rows(
        check("fine"), check("hangs_in_native_code"), check("prints"), check("dies"), check("fine")
    )
    assert time.monotonic() - begun < 60
    assert hung == ("warn", "not measured", "it took more than 1 s; --check_seconds allows more")
    assert died[:2] == ("fail", "the process died of SIGSEGV: free(): invalid size")
    assert after == ("pass", "printed", "")
    assert first[0] == last[0] == "pass"
    assert first[1] != last[1]  # in another process


def children():
    """The processes that this one has started, also in earlier tests."""
    found = set()
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
            found |= set((task / "children").read_text().split())
    return found


def test_a_hung_check_leaves_no_process(rows):
    before = children()
    options = {**os.environ, "PYTHONPATH": str(ROOT)}
    runner = Runner([check("hangs")], Asked(), options, limit=0.2, loading_limit=60.0)
    (outcome,) = runner.outcomes()
    assert outcome.value == "not measured"
    assert runner._children == {}
    assert children() <= before


def test_checks_of_one_process_share_it_and_get_the_facts_before(rows):
    one, two = rows(check("fine"), check("fine"))
    assert one == two
    _, told = rows(check("measures"), check("wants_facts"), asked=Asked(config_of("--epochs=7")))
    assert told[1] == "a step takes 0.5 s, 7 epochs"


def test_errors_are_rows_with_what_to_do(rows):
    rule, error = rows(check("breaks_a_rule"), check("raises"))
    assert rule == ("fail", "received /nowhere", "--data_dir must be an existing folder of images")
    assert error[:2] == ("fail", "OSError: [Errno 5] Input/output error: 'disk'")


def test_what_needs_a_missing_result_is_not_measured(rows):
    _, needing, next_one = rows(
        check("breaks_a_rule"), check("fine", needs=("breaks_a_rule",)), check("prints", needs=("fine",))
    )
    assert needing == ("warn", "not measured", "see the row 'breaks_a_rule'")
    assert next_one == ("warn", "not measured", "see the row 'fine'")


def test_without_a_run_its_checks_are_not_asked_and_start_no_process(rows, monkeypatch):
    monkeypatch.setattr("simsiam_tf.doctor.runner.Child", lambda *args: pytest.fail("started"))
    assert rows(check("fine", of_run=True)) == [("not asked", "needs the flags of a run", "")]


def test_a_known_outcome_takes_the_place_of_the_check(rows):
    known = {"fine": Outcome("fail", "no such folder", "give another")}
    first, second = rows(check("fine"), check("prints", needs=("fine",)), known=known)
    assert first == ("fail", "no such folder", "give another")
    assert second[1] == "not measured"


def test_a_module_that_cannot_be_loaded_is_a_row(rows):
    ((state, value, _),) = rows(Check("none", "tests.doctor.nothing:nothing", "plain"))
    assert state == "fail"
    assert "ended with code 1: ModuleNotFoundError: No module named 'tests.doctor.nothing'" in value


def test_modules_that_take_too_long_to_load_are_not_measured(rows):
    assert rows(check("fine"), loading_limit=0.0) == [
        ("warn", "not measured", "its modules were not loaded within 0 s")
    ]
