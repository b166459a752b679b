import pytest

from simsiam_tf.guard.causes import COLLAPSES, OTHERWISE, State, likely_causes
from simsiam_tf.guard.facts import Facts
from simsiam_tf.guard.words import warning

SICK = [state for state in State if state is not State.HEALTHY]
MEASURED = {"z_std_scaled": 0.18, "z_mean_length": 0.98, "z_rank": 1.2, "feature_rank": 3.1, "loss": -0.951}


@pytest.mark.parametrize("state", SICK)
def test_a_warning_names_the_numbers_and_what_to_do(state):
    text = warning(state, 120, 240, MEASURED, Facts(method="simsiam"))
    assert text.startswith("step 120 of 240: the run is ") and f"{state}: " in text
    assert "loss -0.951" in text or state is State.DIRECTION
    assert OTHERWISE[state][0] in text


@pytest.mark.parametrize("state", SICK)
def test_only_warnings_of_a_collapse_speak_of_one(state):
    text = warning(state, 1, 2, MEASURED, Facts(method="simsiam", predictor="fixed", batch_size=2))
    assert ("collapse" in text.lower()) == (state in COLLAPSES)


@pytest.mark.parametrize(
    ("state", "facts", "cure"),
    [
        (State.POINT, {"stop_gradient": False}, "leave --nostop_gradient out"),
        (State.POINT, {"predictor": "identity"}, "use --predictor=mlp"),
        (State.NOT_LEARNING, {"predictor": "fixed"}, "use --predictor=mlp"),
        (State.DIRECTION, {"bn_placement": "none"}, "use --bn_placement=release"),
        (State.NOT_LEARNING, {"batch_size": 64, "accumulate_steps": 16}, "raise --global_batch_size"),
        (State.DIVERGING, {"base_learning_rate": 100}, "lower --base_learning_rate"),
        (State.NOT_LEARNING, {"base_learning_rate": 1e-6}, "raise --base_learning_rate"),
        (State.DIMENSIONAL, {"weight_decay": 0.1}, "lower --weight_decay"),
        (State.SOMETHING_ELSE, {"crop_min_scale": 1.0}, "lower --crop_min_scale"),
        (State.SOMETHING_ELSE, {"crop_min_scale": 0.01}, "raise --crop_min_scale"),
        (State.SOMETHING_ELSE, {"images": 64}, "use more images"),
        (State.DIVERGING, {"precision": "float16"}, "use --precision=bfloat16"),
    ],
)
def test_the_settings_in_force_come_first(state, facts, cure):
    facts = Facts(method="simsiam", **facts)
    assert likely_causes(state, facts)[0].cure.startswith(cure)
    assert f"by the settings: {likely_causes(state, facts)[0].words}: {cure}" in warning(state, 1, 2, MEASURED, facts)


def test_what_is_likely_is_not_said_again():
    text = warning(State.DIRECTION, 1, 2, MEASURED, Facts(method="simsiam", bn_placement="none"))
    assert text.count("--bn_placement") == 1 and "images that are alike" in text


def test_settings_as_the_paper_has_them_are_no_cause():
    paper = {"stop_gradient": True, "predictor": "mlp", "bn_placement": "release", "base_learning_rate": 0.05}
    facts = Facts(method="simsiam", weight_decay=1e-4, batch_size=256, crop_min_scale=0.2, images=1_281_167, **paper)
    assert all(not likely_causes(state, facts) for state in SICK)
    assert "the likeliest" not in warning(State.POINT, 1, 2, MEASURED, facts).lower()


def test_swav_and_simclr_need_no_predictor():
    for method in ("simclr", "swav", "mocov2"):
        assert not likely_causes(State.POINT, Facts(method=method, predictor="identity"))
