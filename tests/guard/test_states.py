import dataclasses

import pytest

from simsiam_tf.guard.causes import State
from simsiam_tf.guard.facts import Facts
from simsiam_tf.guard.states import Judge
from simsiam_tf.guard.windows import Window

COSINE = Facts(loss_is_cosine=True, chance_loss=0.0, untrained_knn=20.0, bn_placement="release")
HEALTHY = {"loss": -0.5, "z_std_scaled": 0.98, "z_mean_length": 0.1, "z_rank": 6, "feature_rank": 5, "gradient_norm": 1}


def judge(*windows, facts=COSINE, total=1000):
    """Gives windows of 10 steps to a judge, each as what differs from a healthy one; returns the states after each."""
    judging = Judge(facts, total)
    return [judging.add_window(Window(10 * (i + 1), {**HEALTHY, **means})) for i, means in enumerate(windows)]


@pytest.mark.parametrize(
    ("means", "state"),
    [
        ({"z_std_scaled": 0.05}, State.POINT),
        ({"z_std_scaled": 0.3, "loss": -0.95}, State.POINT),
        ({"z_std_scaled": 0.6, "z_mean_length": 0.8, "z_rank": 1.4, "loss": -0.8}, State.POINT),
        ({"z_std_scaled": 0.3, "loss": -0.5}, State.HEALTHY),
        ({"z_std_scaled": 0.55, "z_mean_length": 0.83, "z_rank": 3.4}, State.HEALTHY),  # as SimCLR's first steps
        ({"z_rank": 1.2}, State.DIMENSIONAL),
        ({"z_rank": 2.3}, State.HEALTHY),  # as BYOL's
    ],
)
def test_two_windows_name_a_state(means, state):
    assert judge({}, means, {}, means, means) == [State.HEALTHY] * 4 + [state]


def test_without_batch_norm_features_that_live_make_it_a_direction():
    facts = Facts(loss_is_cosine=True, bn_placement="none")
    means = {"z_std_scaled": 0.05, "z_mean_length": 0.99}
    assert judge(means, means, facts=facts)[-1] is State.DIRECTION
    assert judge(*2 * [{**means, "feature_rank": 1.1}], facts=facts)[-1] is State.POINT


def test_a_run_that_recovers_is_healthy_again():
    bad = {"z_rank": 1.2}
    assert judge(bad, bad, {}, {})[1:] == [State.DIMENSIONAL, State.DIMENSIONAL, State.HEALTHY]


def test_a_gradient_that_grows_without_end():
    assert judge(*7 * [{}], *2 * [{"gradient_norm": 1e4}])[-1] is State.DIVERGING
    assert judge(*7 * [{}], *2 * [{"gradient_norm": 5}])[-1] is State.HEALTHY


def test_a_loss_at_chance_is_named_after_a_while():
    states = judge(*[{"loss": 0.01}] * 30)
    assert states.index(State.NOT_LEARNING) == 20  # from step 200 of 1000 on, two windows
    assert judge(*[{"loss": 0.01}] * 30, facts=Facts())[-1] is State.HEALTHY  # chance is not known
    assert judge(*[{"loss": 0.01}] * 30, total=0)[-1] is State.HEALTHY  # nor may the length of the run be


@pytest.mark.parametrize("loss", [0.0, -0.25])
def test_a_loss_that_is_the_same_to_the_bit(loss):
    judging = Judge(COSINE)
    judging.add_epoch(10, {**HEALTHY, "loss": loss})
    assert judging.add_epoch(20, {**HEALTHY, "loss": loss}) is State.NOT_LEARNING


@pytest.mark.parametrize(
    ("losses", "steps", "said"),
    [
        ([-0.3, 0.01, -0.04, 0.03], 60, True),  # as of batches of two, whose windows tell nothing
        ([0.01, -0.6, 0.01, -0.7], 200, False),
        ([0.01, -0.005, 0.0123], 2, False),
        ([0.01, -0.005, -0.3], 200, False),
    ],
    ids=["stays at chance", "leaves it", "too few steps to say", "left it"],
)
def test_epochs_at_chance(losses, steps, said):
    judging = Judge(COSINE)
    for epoch, loss in enumerate(losses):
        state = judging.add_epoch(steps * (epoch + 1), {**HEALTHY, "loss": loss})
    assert (state is State.NOT_LEARNING) == said


def test_a_classifier_that_knows_all_its_images_is_healthy():
    judging = Judge(Facts())
    judging.add_epoch(10, {"loss": 0.1, "top1": 100.0})
    assert judging.add_epoch(20, {"loss": 0.0, "top1": 100.0}) is State.HEALTHY


def test_knn_that_stays_at_the_untrained_network_s():
    judging, names = Judge(COSINE, 1000), []
    for step, accuracy in ((200, 19.0), (400, 20.5), (600, 20.2), (700, 20.1), (800, 24.0)):
        names.append(judging.add_epoch(step, {**HEALTHY, "loss": -0.6 - step / 1e4, "knn_top1": accuracy}))
    assert names == [State.HEALTHY, State.HEALTHY, State.SOMETHING_ELSE, State.SOMETHING_ELSE, State.HEALTHY]


@pytest.mark.parametrize(
    ("facts", "first", "loss", "accuracy", "state"),
    [
        ({}, -0.1, -0.3, 20.0, State.HEALTHY),  # the loss has not fallen
        ({"knn_images": 500}, -0.1, -0.9, 23.0, State.SOMETHING_ELSE),  # 500 images cannot tell 23 from 20 %
        ({"knn_images": 10_000}, -0.1, -0.9, 23.0, State.HEALTHY),
        ({"loss_is_cosine": False, "chance_loss": None}, 6.4, 4.0, 20.0, State.SOMETHING_ELSE),
        ({"loss_is_cosine": False, "chance_loss": None}, 5.0, 7.7, 20.0, State.HEALTHY),  # as MoCo's first steps
        ({"untrained_knn": None}, -0.1, -0.9, 5.0, State.HEALTHY),
    ],
)
def test_a_loss_that_falls_and_as_many_images_as_can_tell(facts, first, loss, accuracy, state):
    judging = Judge(dataclasses.replace(COSINE, **facts), 1000)
    judging.add_window(Window(10, {**HEALTHY, "loss": first}))
    for step in (500, 600):
        judging.add_epoch(step, {**HEALTHY, "loss": loss - step / 1e6, "knn_top1": accuracy})
    assert judging.state is state


def test_healthy_windows_do_not_take_back_what_knn_says():
    judging = Judge(COSINE, 1000)
    for step in (500, 600):
        judging.add_epoch(step, {**HEALTHY, "loss": -0.2 - step / 1000, "knn_top1": 20.0})
    for step in (610, 620, 630):
        assert judging.add_window(Window(step, HEALTHY)) is State.SOMETHING_ELSE


@pytest.mark.parametrize("loss", [6.0, 4.0])
def test_a_resumed_run_judges_its_loss_by_its_beginning(loss):
    facts = dataclasses.replace(COSINE, loss_is_cosine=False, chance_loss=None)

    def judge(*resumed):
        judging = Judge(facts, 1000, *resumed)
        for step in (10, 20) if not resumed else (500, 510):
            judging.add_window(Window(step, {**HEALTHY, "loss": 6.4 if step == 10 else loss}))
        return judging

    whole = judge()
    resumed = judge(State.HEALTHY, whole.first_loss)
    for step in (600, 700):
        logs = {**HEALTHY, "loss": loss - step / 1e6, "knn_top1": 20.0}
        assert resumed.add_epoch(step, logs) is whole.add_epoch(step, logs)
    assert whole.state is (State.SOMETHING_ELSE if loss == 4.0 else State.HEALTHY)
    assert resumed.first_loss == 6.4


@pytest.mark.parametrize("state", list(State))
def test_a_resumed_run_begins_with_its_state(state):
    judging = Judge(COSINE, 1000, state)
    assert judging.state is state
    judging.add_window(Window(10, HEALTHY))
    assert judging.add_window(Window(20, HEALTHY)) is (
        state if state in (State.NOT_LEARNING, State.SOMETHING_ELSE) else State.HEALTHY
    )
    assert judging.add_epoch(500, {**HEALTHY, "loss": -0.6, "knn_top1": 20.0}) is (
        State.SOMETHING_ELSE if state is State.SOMETHING_ELSE else State.HEALTHY
    )
