import pytest

from simsiam_tf.doctor.checks import Result
from simsiam_tf.doctor.text import as_json, row, verdict

FINE, ODD = Result("memory", "pass", "2 GiB free"), Result("step", "warn", "not measured", "it took more than 30 s")
BAD, REST = Result("workdir", "fail", "read-only: /x", "give another"), Result("input", "not asked", "needs a run")


def test_rows_are_aligned_and_say_what_to_do(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert list(row(FINE, 8)) == ["pass       memory    2 GiB free"]
    assert list(row(ODD, 8)) == ["warn       step      not measured", " " * 21 + "-> it took more than 30 s"]


def test_long_rows_are_wrapped_and_paths_stay_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    path = "/a-long-name" * 8
    lines = list(row(Result("workdir", "fail", f"cannot be written: {path}", "give a folder that can be written"), 8))
    assert path in "".join(lines).split()
    assert all(line.startswith(" " * 21) for line in lines[1:])


@pytest.mark.parametrize(
    ("results", "line"),
    [
        ([FINE], "All right: 1 check passed."),
        ([FINE, REST], "All right: 1 check passed. 1 more are about a run; for these add its flags, as for train.py."),
        ([FINE, ODD, REST], "No check failed, but of 2 checks 1 warned (step), 1 not measured."),
        ([FINE, BAD], "Not all right: 1 of 2 checks failed (workdir)."),
        ([ODD, BAD], "Not all right: 1 of 2 checks failed (workdir); 1 warned (step), 1 not measured."),
    ],
)
def test_the_verdict_is_one_line(results, line):
    assert verdict(results) == line


@pytest.mark.parametrize(
    ("results", "state"), [([FINE, REST], "pass"), ([FINE, ODD], "warn"), ([ODD, BAD, FINE], "fail"), ([REST], "pass")]
)
def test_json_has_the_rows_and_the_worst_state(results, state):
    content = as_json(results)
    assert content["state"] == state
    assert [list(check) for check in content["checks"]] == [["name", "state", "value", "advice"]] * len(results)
