from simsiam_tf.distribute import collectives
from simsiam_tf.doctor import replicas


def test_two_replicas_agree_with_one_device(two_replicas):
    outcome = replicas.compare(two_replicas, "2 halves of the CPU")
    assert outcome.state == "pass", outcome
    assert outcome.value.startswith("2 halves of the CPU agree with one device to ")


def test_statistics_that_are_not_shared_fail(two_replicas, monkeypatch):
    monkeypatch.setattr(collectives, "all_reduce_mean", lambda value: value)
    outcome = replicas.compare(two_replicas, "2 halves of the CPU")
    assert outcome.state == "fail"
    assert "1e-09 is allowed" in outcome.value
    assert "--strategy=one" in outcome.advice
