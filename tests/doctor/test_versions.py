import pytest

from simsiam_tf.doctor import versions
from tests.conftest import ROOT

GOOD = {
    **{"python": "3.12.1", "tensorflow": "2.21.0", "keras": "3.15.1", "tensorflow-datasets": "4.9.10"},
    **dict.fromkeys([name for name, _, _ in versions._NEEDED if name != "tensorflow-datasets"], "100"),
}


def judge(**others):
    return versions.judge({**GOOD, **{name.replace("_", "-"): value for name, value in others.items()}}.get)


def test_versions_that_work_together_pass():
    assert judge().state == "pass"
    assert judge(tensorflow="2.20.0", keras="3.15.0").value == "python 3.12.1, tensorflow 2.20.0, keras 3.15.0"


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        ({"python": "3.10.14"}, "fail", "Python 3.11 to 3.13"),
        ({"python": "3.14.0"}, "fail", "Python 3.11 to 3.13"),
        ({"tensorflow": "2.19.1"}, "fail", "TensorFlow 2.20 or 2.21"),
        ({"tensorflow": "2.22.0rc1"}, "warn", "make test-latest"),
        ({"tensorflow": None}, "fail", "it is needed"),
        ({"keras": "2.15.0"}, "fail", "depend on Keras 3.15"),
        ({"keras": "3.14.9"}, "fail", "depend on Keras 3.15"),
        ({"keras": "3.16"}, "warn", "each minor release"),
        ({"tensorflow_datasets": "4.9.9"}, "warn", "4.9.10"),
        ({"tensorflow_addons": "0.23.0"}, "warn", "does not import"),
        ({"tensorflow_tpu": "2.20.0", "libtpu": "0.0.32"}, "fail", "aborts on import"),
        ({"torchvision": "0.21"}, "warn", "import torch and torchvision first"),
        ({"tensorboard": None}, "fail", "no curves"),
        ({"safetensors": None}, "warn", "weights of others"),
    ],
)
def test_versions_that_do_not_are_named_with_what_to_do(found, state, words):
    outcome = judge(**found)
    assert (outcome.state, words in outcome.advice) == (state, True), outcome
    assert next(iter(found)).replace("_", "-") in outcome.value


def test_libtpu_alone_is_judged_beside_tensorflow_tpu_only():
    assert judge(libtpu="0.0.52").state == "pass"
    assert judge(tensorflow_tpu="2.20.0", libtpu="0.0.31").state == "pass"


def test_the_worst_of_several_counts_and_all_are_named():
    outcome = judge(torchvision="0.21", keras="3.14")
    assert outcome.state == "fail"
    assert "torchvision 0.21 beside tensorflow 2.21.0" in outcome.value


def test_every_entry_has_its_evidence_in_this_repository():
    for known in versions.KNOWN:
        assert (ROOT / known.source).exists(), known
