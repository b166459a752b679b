"""Weights that a network begins with: every layout, what fits and what does not, and files that do harm."""

import json
import os
import pathlib
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors import numpy as safetensors

from simsiam_tf.errors import UsageError
from simsiam_tf.interop.given import Given, of_network, read_weights
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_names import as_torch, mlp_weights, to_torch
from simsiam_tf.methods import BYOL, MoCoV2, SimSiam
from simsiam_tf.networks import resnet18


def make(method=SimSiam, **options):
    heads = {"projector_dim": 16} | ({"predictor_dim": 8} if method in (SimSiam, BYOL) else {})
    heads |= {"queue_size": 8} if method is MoCoV2 else {}
    heads |= {"projector_hidden_dim": 16} if method is BYOL else {}
    return method(resnet18(width=0.0625), **heads | {"steps_per_epoch": 1} | options)


@pytest.fixture
def source(rng):
    return randomized(make(), rng)


def randomized(model, rng):
    for variable in model.variables:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def loss_of(model, seed=0):
    rng = np.random.default_rng(seed)
    views = tuple(tf.constant(rng.normal(size=(8, 32, 32, 3)), keras.config.floatx()) for _ in range(2))
    return float(model.compute_ssl_loss({"views": views}, training=True)[0])


def heads_of(model, numbers=(0, 1, 3, 4, 6, 7), predictor=(0, 1, 3)):
    """Returns the heads by their places in an nn.Sequential: three dense layers, each with batch norm, and two."""
    found = {}
    for name, places in (("projector", numbers), ("predictor", predictor)):
        layers = {}
        for weight, array in as_torch(mlp_weights(getattr(model, name))).items():
            layer, _, part = weight.partition(".")
            layers.setdefault(layer, len(layers))
            found[f"{name}.{places[layers[layer]]}.{part}"] = array
    return found


def renamed(arrays, **prefixes):
    """Returns arrays with other beginnings of their names, in the order of the keyword arguments."""
    return {
        next(new + name.removeprefix(old) for old, new in prefixes.items() if name.startswith(old)): array
        for name, array in arrays.items()
    }


def authors(model):
    weights = renamed(to_torch(model.backbone) | heads_of(model), projector="encoder.fc", predictor="predictor", **ENC)
    return {"arch": "resnet18", "state_dict": {f"module.{name}": array for name, array in weights.items()}}


ENC = {"": "encoder."}


def solo_learn(model):
    weights = renamed(
        to_torch(model.backbone) | heads_of(model), projector="projector", predictor="predictor", **{"": "backbone."}
    )
    weights["classifier.weight"] = np.zeros((10, 32), np.float32)
    return {"state_dict": weights, "global_step": 5}


def lightly(model):
    """The children of torchvision's ResNet by number, and heads without the frozen bias of the last layer."""
    children = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    weights = {}
    for name, array in to_torch(model.backbone).items():
        child, _, rest = name.partition(".")
        weights[f"backbone.{children[child]}.{rest}"] = array
    for name, array in heads_of(model).items():
        if name != "projector.6.bias":
            weights[
                name.replace("projector.", "projection_head.layers.").replace("predictor.", "prediction_head.layers.")
            ] = array
    return {"state_dict": weights}


def mmselfsup(model):
    names = ("fc0", "bn0", "fc1", "bn1", "fc2", "bn2")
    weights = renamed(
        to_torch(model.backbone) | heads_of(model, names, names[:3]),
        projector="neck",
        predictor="head.predictor",
        **{"": "backbone."},
    )
    weights.pop("neck.fc2.bias")
    return {"meta": {"epoch": 3}, "state_dict": weights | {"data_preprocessor.mean": np.zeros((3, 1, 1), np.float32)}}


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        (authors, "the authors' SimSiam"),
        (solo_learn, "solo-learn"),
        (lightly, "lightly"),
        (mmselfsup, "mmselfsup"),
    ],
)
def test_a_whole_simsiam_of_any_layout_begins_with_the_loss_of_its_source(source, tmp_path, layout, name):
    # Where a layout has no bias before a batch norm, the same network has the bias 0.
    source.projector.dense[-1].bias.assign(tf.zeros(16))
    (tmp_path / "checkpoint.pth.tar").write_bytes(pth_bytes(layout(source)))
    model = make()
    said = read_weights(tmp_path / "checkpoint.pth.tar").assign_to(model)
    assert said.startswith("Took backbone, projector and predictor from ")
    assert f"in the layout of {name}." in said
    for own, given in zip(model.variables, source.variables, strict=True):
        np.testing.assert_array_equal(own.numpy(), given.numpy())
    assert loss_of(model) == pytest.approx(loss_of(source), abs=1e-6)


@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".keras"])
def test_a_backbone_alone_is_taken_from_any_file(rng, tmp_path, ending):
    """The heads are random, by the seed, and so the first loss is that of the source with the same heads."""
    source = make()
    randomized(source.backbone, rng)
    path = tmp_path / f"network{ending}"
    arrays = to_torch(source.backbone) | {"fc.weight": np.zeros((10, 32), np.float32)}
    if ending == ".keras":
        source.backbone.save(path)
    else:
        path.write_bytes(pth_bytes(arrays) if ending == ".pth" else safetensors.save(arrays))
    keras.utils.set_random_seed(0)  # as before the source was made
    model = make()
    head = model.projector.dense[0].kernel.numpy()
    before = loss_of(model)
    said = read_weights(path).assign_to(model)
    assert said.startswith("Took the backbone alone from ")
    assert "; the heads begin anew, because there is no projector." in said
    assert ending == ".keras" or ("torchvision or timm" in said and said.endswith("Left out: fc.weight."))
    for own, given in zip(model.backbone.variables, source.backbone.variables, strict=True):
        np.testing.assert_array_equal(own.numpy(), given.numpy())
    np.testing.assert_array_equal(model.projector.dense[0].kernel.numpy(), head)
    loss = loss_of(source)
    assert abs(before - loss) > 1e-3
    assert loss_of(model) == pytest.approx(loss, abs=1e-6)


def test_moco_s_encoder_is_taken_and_not_the_momentum_encoder(rng, tmp_path):
    source = make(MoCoV2)
    randomized(source.backbone, rng), randomized(source.projector, rng)
    source.after_given_weights()
    heads = {f"fc.{2 * (int(n[5]) - 1)}{n[6:]}": a for n, a in as_torch(mlp_weights(source.projector)).items()}
    weights = {f"module.encoder_q.{name}": array for name, array in (to_torch(source.backbone) | heads).items()}
    weights |= {name.replace("_q", "_k"): np.asarray(array + 1) for name, array in weights.items()}
    weights["module.queue"] = np.zeros((16, 8), np.float32)
    (tmp_path / "moco.pth.tar").write_bytes(pth_bytes({"state_dict": weights}))
    keras.utils.set_random_seed(0)  # as before the source was made, so that the queue is the same
    model = make(MoCoV2)
    said = read_weights(tmp_path / "moco.pth.tar").assign_to(model)
    assert said.startswith("Took backbone and projector from ")
    assert "in the layout of MoCo; the queue begins anew." in said
    for own, copy, given in zip(
        model.backbone.variables, model.momentum_encoder.networks[0].variables, source.backbone.variables, strict=True
    ):
        np.testing.assert_array_equal(own.numpy(), given.numpy())
        np.testing.assert_array_equal(copy.numpy(), given.numpy())
    assert loss_of(model) == pytest.approx(loss_of(source), abs=1e-6)
    other = make()
    assert "the heads begin anew, because those there are of the method mocov2" in read_weights(
        tmp_path / "moco.pth.tar"
    ).assign_to(other)


@pytest.mark.parametrize("method", [BYOL, MoCoV2])
def test_a_momentum_encoder_follows(source, method):
    model = make(method)
    of_network(source, "a test").assign_to(model)
    target = model.target if method is BYOL else model.momentum_encoder
    encoder = [*model.backbone.variables, *model.projector.variables]
    for own, copy in zip(encoder, [v for n in target.networks for v in n.variables], strict=True):
        np.testing.assert_array_equal(own.numpy(), copy.numpy())


def test_heads_of_another_shape_begin_anew_and_say_why(source):
    model = make(projector_dim=32)
    said = of_network(source, "a test").assign_to(model)
    assert "Took the backbone alone from a test; the heads begin anew, because the projector differs: " in said
    assert "dense3.weight 16x32 and not 32x32" in said


def test_a_bias_before_a_batch_norm_is_taken_into_the_mean(rng):
    """solo-learn's BYOL has one; in inference mode the output depends on it."""
    model, given = make(), of_network(randomized(make(), rng), "a test")
    projector = given.heads["projector"]
    bias = rng.normal(size=32).astype(np.float32)
    with_bias = {**projector, "dense1.bias": bias, "bn1.running_mean": projector["bn1.running_mean"] + bias}
    Given("a test", "", given.backbone, {**given.heads, "projector": with_bias}).assign_to(model)
    np.testing.assert_allclose(model.projector.norm[0].moving_mean.numpy(), projector["bn1.running_mean"], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("layer1.0.bn1.bias"), r"1 \(layer1.0.bn1.bias\) missing. Received"),
        (lambda a: a.update({"layer9.weight": np.zeros(1, np.float32)}), r"1 \(layer9.weight\) unknown"),
        (lambda a: a.update({"bn1.bias": np.zeros(5, np.float32)}), r"1 \(bn1.bias 5 and not 4\) of another shape"),
        (
            lambda a: a.update({"bn1.bias": np.full(4, np.inf, np.float32)}),
            "bn1.bias holds numbers that are not finite",
        ),
    ],
)
def test_nothing_is_half_loaded(source, tmp_path, change, words):
    arrays = to_torch(source.backbone)
    change(arrays)
    (tmp_path / "network.pth").write_bytes(pth_bytes(arrays))
    model = make()
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(UsageError, match=words):
        read_weights(tmp_path / "network.pth").assign_to(model)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_another_network_is_named(source, tmp_path):
    (tmp_path / "network.pth").write_bytes(pth_bytes(to_torch(source.backbone)))
    model = SimSiam(resnet18(width=0.125, cifar_stem=True), projector_dim=16, predictor_dim=8)
    with pytest.raises(
        UsageError,
        match=r"resnet18 of width 0.125 with the 3x3 stem; .*with the weights of resnet18 of "
        r"width 0.0625 with the 7x7 stem\.$",
    ):
        read_weights(tmp_path / "network.pth").assign_to(model)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not written by torch.save"),
        (b"hello", "not written by torch.save"),
        (pth_bytes({"vit.cls_token": np.zeros(3, np.float32)}), r"not those of a ResNet of .*1 names: vit.cls_token"),
        (safetensors.save({"x": np.zeros(3, np.float32)}), "not those of a ResNet"),
        (safetensors.save({"x": np.zeros(30, np.float32)})[:-8], "not a file of safetensors"),
        ((10).to_bytes(8, "little") + b"{}        ", "not those of a ResNet|not a file of safetensors"),
    ],
)
def test_a_foreign_file_is_one_sentence(tmp_path, content, why):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UsageError, match=rf"^--init_weights must be .*{why}.* Received: .*x.pth\.$"):
        read_weights(tmp_path / "x.pth")


def test_a_file_of_keras_that_names_foreign_code_is_refused(source, tmp_path):
    source.backbone.save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        config = json.loads(good.read("config.json"))
        config["config"]["x"] = {"module": "os", "class_name": "system", "config": "touch ran", "registered_name": None}
        for name in good.namelist():
            bad.writestr(name, json.dumps(config) if name == "config.json" else good.read(name))
    with pytest.raises(UsageError, match=r"neither of Keras nor of this package, or that run code \(os.system\)"):
        read_weights(tmp_path / "bad.keras")
    cut = tmp_path / "cut.keras"
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(cut, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name)[: 500 if name.endswith("h5") else None])
    with pytest.raises(UsageError, match=r"Keras cannot load it"):
        read_weights(cut)


def test_weights_of_a_run_in_float64_keep_their_bits(float64, rng):
    source = randomized(make(), rng)
    model = make()
    of_network(source, "a test").assign_to(model)
    for own, given in zip(model.variables, source.variables, strict=True):
        np.testing.assert_array_equal(own.numpy(), given.numpy())


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.pth")
    with pytest.raises(OSError, match="not a regular file"):
        read_weights(pathlib.Path(tmp_path / "x.pth"))
