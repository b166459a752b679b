import pytest

from simsiam_tf import LARS, SGD
from simsiam_tf.cli import flags as definitions
from simsiam_tf.training import factory as build

TINY = ("--dataset=shapes", "--arch=resnet18", "--width=0.0625", "--image_size=32", "--workdir=w", "--projector_dim=8")


def trainer(*flags):
    return build.make_compiled_model(definitions.training_config_of([*TINY, *flags]), steps_per_epoch=4)


def adapted(model):
    optimizer = model.optimizer
    return {v.path for v, adapts in zip(optimizer._trainable_variables, optimizer._adapts, strict=True) if adapts}


def test_sgd_is_the_default_and_lars_leaves_norms_and_biases_out():
    assert type(trainer().optimizer) is SGD
    model = trainer("--optimizer=lars", "--method=mocov2", "--queue_size=16")
    assert type(model.optimizer) is LARS
    names = {path.rpartition("/")[2] for path in adapted(model)}
    assert names == {"kernel"}
    everything = trainer("--optimizer=lars", "--nolars_exclude", "--method=mocov2", "--queue_size=16")
    assert adapted(everything) == {v.path for v in everything.trainable_variables}


@pytest.mark.parametrize(("method", "has_one"), [("byol", True), ("barlow_twins", False)])
def test_a_method_s_predictor_has_its_own_rate_if_there_is_one(method, has_one):
    model = trainer(f"--method={method}", "--projector_hidden_dim=8", "--predictor_lr_multiplier=10")
    own = [rate for rate in model.optimizer._own_rate if rate is not None]
    assert bool(own) == has_one
    assert all(rate == pytest.approx(10 * 0.05 * 512 / 256) for rate in own)


def test_the_decay_ends_where_it_is_told_to():
    optimizer = trainer("--final_learning_rate=0.1", "--epochs=2", "--global_batch_size=256").optimizer
    assert optimizer.learning_rate_at(0) == pytest.approx(0.05)
    assert optimizer.learning_rate_at(8) == pytest.approx(0.005)
