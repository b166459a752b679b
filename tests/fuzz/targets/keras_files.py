"""Weights in files of Keras."""

import io
import json
import pathlib
import random
from typing import Any

from tests.fuzz.archives import archive_of, mutate_archive, parts_of
from tests.fuzz.mutations import mutate_bytes, mutate_json
from tests.fuzz.target import Target
from tests.fuzz.targets.weights import check_given


def _of_keras(module: str, class_name: str, /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


_MARSHALLED = {"class_name": "__lambda__", "config": {"value": ["4wAAAAA=", None, None]}}
# Parts of a model that would run code, read files, open connections, or take the memory.
_GADGETS: tuple[Any, ...] = (
    _MARSHALLED,
    _of_keras("keras.layers", "Lambda", name="x", function=_MARSHALLED),
    _of_keras("keras.layers", "TFSMLayer", name="x", filepath="/etc", call_endpoint="serve"),
    _of_keras("keras.layers", "TorchModuleWrapper", name="x", module="gASVFQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOULg=="),
    _of_keras("keras.layers", "StringLookup", name="x", vocabulary="/etc/passwd"),
    _of_keras("keras.layers", "TextVectorization", name="x", vocabulary="/etc/passwd"),
    _of_keras("keras.layers", "Dense", name="x", units=10**9, activation="relu"),
    _of_keras("keras.layers", "Embedding", name="x", input_dim=10**9, output_dim=10**4),
    _of_keras("keras.models", "Sequential", name="x", layers=[_of_keras("keras.layers", "Dense", units=10**12)]),
    _of_keras(
        "keras.layers",
        "Dense",
        name="x",
        units=3,
        activation={"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "eval"},
    ),
    {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": None},
    {"module": "keras.utils", "class_name": "get_file", "config": {"fname": "x", "origin": "http://127.0.0.1:9/x"}},
    {"module": "builtins", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
    {"module": "subprocess", "class_name": "function", "config": "run", "registered_name": "run"},
    {"class_name": "__tensor__", "config": {"value": [[0.0]] * 100, "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "O"}},
    {
        "class_name": "__typespec__",
        "spec_name": "TensorSpec",
        "module": "tensorflow",
        "registered_name": None,
        "config": [[10**9], "float32"],
    },
    _of_keras("keras.src.saving.saving_lib", "load_model", filepath="/etc/passwd"),
    _of_keras("keras.initializers", "Constant", value=1e308),
    _of_keras("keras.preprocessing.image", "load_img", path="/etc/passwd"),
)


class KerasFiles(Target):
    """Reads models that Keras saved: a method, a backbone, and a network of Keras' own layers."""

    name = "keras"
    seconds = 90.0
    memory = 6 << 30

    def make(self, folder: pathlib.Path) -> None:
        import keras

        from simsiam_tf.methods import MoCoV2, SimSiam
        from simsiam_tf.networks import resnet18

        heads = {"projector_dim": 16, "predictor_dim": 8, "steps_per_epoch": 1}
        made = SimSiam(resnet18(width=0.0625), **heads)
        made.save(folder / "method.keras")
        MoCoV2(resnet18(width=0.0625), projector_dim=16, queue_size=8, steps_per_epoch=1).save(folder / "moco.keras")
        made.backbone.save(folder / "backbone.keras")
        images = keras.Input((16, 16, 3))
        features = keras.layers.Conv2D(4, 3, activation="relu")(images)
        features = keras.layers.BatchNormalization()(features)
        features = keras.layers.GlobalAveragePooling2D()(features)
        keras.Model(images, features).save(folder / "own.keras")

    def load(self, folder: pathlib.Path) -> None:
        import simsiam_tf.interop.given as given
        from simsiam_tf.networks import resnet  # noqa: F401

        self._read = given.read_weights
        self._seeds = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.keras"))}

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        name, content = chance.choice(list(self._seeds.items()))
        kind = chance.choice(
            ["whole", "archive", "archive", "weights", "weights", "config", "config", "gadget", "gadget"]
        )
        done = ""
        if kind == "archive":
            content, done = mutate_archive(content, chance)
        elif kind != "whole":
            parts = parts_of(content)
            config = json.loads(parts["config.json"])
            if kind == "weights":
                parts["model.weights.h5"], done = _mutated_h5(parts["model.weights.h5"], chance)
            elif kind == "config":
                parts["config.json"], done = mutate_json(config, parts["config.json"], chance)
            else:
                number = chance.randrange(len(_GADGETS))
                done = f"gadget {number} {_put(config, _GADGETS[number], chance)}"
                parts["config.json"] = json.dumps(config).encode()
            content = archive_of(list(parts.items()))
        (folder / "x.keras").write_bytes(content)
        return f"{name}: {kind} {done}"

    def read(self, folder: pathlib.Path) -> str:
        return check_given(self._read(folder / "x.keras"), None)


def _put(config: Any, part: Any, chance: random.Random) -> str:
    """Puts a part into a description, in the place of any value."""
    from damages import _places

    places = list(_places(config))
    inner, key = chance.choice([place for place in places if isinstance(place[0][place[1]], dict)] or places)
    if isinstance(inner, list):
        inner.insert(key, part)
    else:
        inner[key] = part
    return f"at {key}"


def _mutated_h5(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Damages the weights: their bytes, or what an HDF5 file can hold beside numbers."""
    kind = chance.choice(["bytes", "bytes", "external", "link", "vast", "packed", "shape", "text"])
    if kind == "bytes":
        return mutate_bytes(content, chance)
    import h5py
    import numpy as np

    opened = io.BytesIO(content)
    with h5py.File(opened, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = chance.choice(names)
        shape = file[name].shape
        del file[name]
        if kind == "external":
            file.create_dataset(name, shape=(4,), dtype="u1", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
        elif kind == "link":
            file[name] = chance.choice(
                [h5py.ExternalLink("/etc/passwd", "/x"), h5py.SoftLink("/"), h5py.SoftLink(f"/{name}")]
            )
        elif kind == "vast":  # of which nothing is stored
            file.create_dataset(name, shape=(10**6, 10**6), dtype="f8")
        elif kind == "packed":
            file.create_dataset(name, data=np.zeros(1 << 27, np.uint8), compression="gzip")
        elif kind == "shape":
            file.create_dataset(name, data=np.zeros([*shape, 2], np.float32))
        else:
            file.create_dataset(name, data=b"text")
    return opened.getvalue(), f"{kind} {name}"
