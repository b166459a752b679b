import pytest

from simsiam_tf.cli.flags import training_config_of
from simsiam_tf.config.methods import METHOD_CONFIGS
from simsiam_tf.errors import UsageError
from simsiam_tf.methods import METHODS
from simsiam_tf.networks import BACKBONES
from simsiam_tf.networks.resnet import DEPTHS
from simsiam_tf.training import factory, limits
from simsiam_tf.training.pretrain import pretrain

TINY = (
    "--workdir=w",
    "--dataset=shapes",
    "--arch=resnet18",
    "--width=0.0625",
    "--image_size=32",
    "--global_batch_size=2",
)


def with_memory(monkeypatch, gib):
    monkeypatch.setattr(limits, "available_memory", lambda: int(gib * 2**30))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--projector_dim=2147483648"], "the heads"),
        (["--projector_layers=100", "--projector_hidden_dim=100000"], "the heads"),
        (["--image_size=20000", "--width=1"], "the activations"),
        (["--image_size=2147483648"], "the activations"),
        (["--width=1e20"], "the "),
        (["--width=3e38"], "the "),
        (["--method=mocov2", "--queue_size=1000000000000"], "the method"),
        (["--method=swav", "--num_prototypes=1000000000000"], "the method"),
        (["--method=swav", "--small_views=1000000000"], "the activations"),
        (["--method=barlow_twins", "--projector_dim=1000000"], "the method"),
        (["--global_batch_size=1000000000000"], "the activations"),
        (["--head_scale=1e12"], "the heads"),
        (["--blur_max_sigma=1e38"], "the blur"),
    ],
)
def test_what_needs_more_memory_than_there_is_is_refused_before_it_is_built(monkeypatch, flags, words):
    with_memory(monkeypatch, 64)
    monkeypatch.setattr(factory, "make_compiled_model", lambda *args: pytest.fail("built"))
    message = r"^The run must fit into the free memory, 64 GiB; .* need at least .* GiB, most of it for " + words
    with pytest.raises(UsageError, match=message):
        pretrain(training_config_of([*TINY, "--projector_hidden_dim=2048", *flags]))


def test_what_fits_is_not_refused(monkeypatch):
    with_memory(monkeypatch, 0.25)
    for method in METHOD_CONFIGS:
        queue = ["--queue_size=64"] if method == "mocov2" else []
        heads = ["--projector_dim=64", "--projector_hidden_dim=64"]
        limits.check_memory(training_config_of([*TINY, f"--method={method}", *heads, *queue]))


def test_gpus_hold_the_activations_and_workers_a_share(monkeypatch):
    with_memory(monkeypatch, 16)
    config = training_config_of(["--workdir=w"])
    with pytest.raises(UsageError, match="the activations"):
        limits.check_memory(config)
    limits.check_memory(config, holds_activations=False)
    limits.check_memory(config, shares=16)


def test_the_estimate_knows_every_backbone():
    assert {arch: (depths, kind == "bottleneck") for arch, (kind, depths) in DEPTHS.items()} == limits._STAGES


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
@pytest.mark.parametrize("size", ["32", "224"])
def test_the_estimate_counts_every_weight_of_the_backbone(arch, size):
    config = training_config_of(["--workdir=w", f"--arch={arch}", "--width=0.125", f"--image_size={size}"])
    backbone = BACKBONES[arch](cifar_stem=size == "32", width=0.125)
    kernels = [v for v in backbone.trainable_variables if v.path.endswith("kernel")]
    assert limits._backbone_weights(config) == sum(v.numpy().size for v in kernels)
    assert limits._feature_dim(config) == backbone.feature_dim


@pytest.mark.parametrize("method", METHODS)
def test_the_estimate_counts_every_weight_of_the_heads(method):
    flags = [*TINY, f"--method={method}", "--projector_layers=4", "--projector_dim=24", "--projector_hidden_dim=40"]
    flags += ["--predictor_dim=8", "--predictor=mlp"] if "predictor" in METHOD_CONFIGS[method]().values() else []
    config = training_config_of([*flags, *(["--queue_size=64"] if method == "mocov2" else [])])
    model = factory.make_model(config)
    heads = [model.projector] + ([model.predictor] if model.predictor is not None else [])
    kernels = [v for head in heads for v in head.trainable_variables if v.path.endswith("kernel")]
    assert limits._head_weights(config) == sum(v.numpy().size for v in kernels)


@pytest.mark.parametrize(
    ("precision", "has_accelerator", "instructions", "sentence"),
    [
        ("float16", False, True, "--precision=float16 is very slow on a CPU, often a hundred times; use float32 or bf"),
        ("float16", False, False, "--precision=float16 is very slow on a CPU, often a hundred times; use float32 ther"),
        ("float16", True, False, ""),
        (
            "bfloat16",
            False,
            False,
            "--precision=bfloat16 is several times slower than float32 on a CPU ",
        ),
        ("bfloat16", False, True, ""),
        ("bfloat16", False, None, ""),  # the system does not tell
        ("bfloat16", True, False, ""),
        ("float32", False, False, ""),
    ],
)
def test_a_slow_precision_is_known(monkeypatch, precision, has_accelerator, instructions, sentence):
    monkeypatch.setattr(limits, "has_bfloat16", lambda: instructions)
    found = limits.slow_precision(training_config_of([*TINY, f"--precision={precision}"]), has_accelerator)
    assert found[: len(sentence)] == sentence and bool(found) == bool(sentence)
