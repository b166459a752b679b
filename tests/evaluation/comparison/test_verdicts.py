import pytest

from simsiam_tf.evaluation.comparison.bootstrap import Difference
from simsiam_tf.evaluation.comparison.verdicts import Verdict, deciding_level, sentence_of


def verdict(other, *directions):
    of_titles = {f"m{i}": Difference(2.0 * d, 0, 0, d) for i, d in enumerate(directions)}
    return Verdict.from_differences(other, of_titles)


@pytest.mark.parametrize(
    ("directions", "answer", "reason"),
    [
        ((1, 0), "better", "by m0 +2.00 points"),
        ((0, -1, -1), "worse", "by m1 -2.00 points, m2 -2.00 points"),
        ((0, 0), "not to be told apart", "no measure differs by more than chance: m0 +0.00 points, m1 +0.00 points"),
        ((1, -1), "not to be told apart", "better by m0 +2.00 points, but worse by m1 -2.00 points"),
    ],
)
def test_the_answer_is_that_of_the_measures_that_tell_a_direction(directions, answer, reason):
    assert verdict("a", *directions) == Verdict("a", answer, reason)


def test_one_sentence_holds_all_answers():
    sentence = sentence_of([verdict("the untrained network", 1), verdict("a", 0), verdict("b", -1)])
    assert sentence == (
        "This run is better than the untrained network (by m0 +2.00 points); and not to be told apart from a (no "
        "measure differs by more than chance: m0 +0.00 points); and worse than b (by m0 -2.00 points)."
    )


def test_the_level_is_divided_among_the_measures():
    assert deciding_level(1) == pytest.approx(0.95)
    assert deciding_level(4) == pytest.approx(0.9875)
