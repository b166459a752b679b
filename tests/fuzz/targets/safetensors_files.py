"""Weights in files of safetensors, alone and in a folder of timm."""

import json
import pathlib
import random

import numpy as np

from tests.fuzz.mutations import INTERESTING, mutate_bytes, mutate_json, mutate_value
from tests.fuzz.target import Target
from tests.fuzz.targets.weights import LAYOUTS, arrays_of_a_network, in_layout, open_and_check, safetensors_bytes

_TIMM = {
    "architecture": "resnet18",
    "num_classes": 0,
    "pretrained_cfg": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": [3, 224, 224]},
}


class SafetensorsFiles(Target):
    """Reads weights of each layout from safetensors."""

    name = "safetensors"

    def make(self, folder: pathlib.Path) -> None:
        from safetensors import numpy as safetensors

        arrays = arrays_of_a_network()
        np.savez(folder / "arrays.npz", **arrays)
        for layout in LAYOUTS:
            (folder / f"{layout}.safetensors").write_bytes(safetensors.save(in_layout(arrays, layout)))

    def load(self, folder: pathlib.Path) -> None:
        import simsiam_tf.training.given_weights  # noqa: F401

        self._seeds = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}
        with np.load(folder / "arrays.npz") as held:
            self._arrays = dict(held)
        self._is_whole = False

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        layout, content = chance.choice(list(self._seeds.items()))
        kind = chance.choice(["whole", "bytes", "header", "header", "header", "header", "length", "timm", "timm"])
        self._is_whole = kind == "whole"
        (folder / "timm").mkdir()
        length = int.from_bytes(content[:8], "little")
        header, numbers, done = content[8 : 8 + length], content[8 + length :], ""
        config = json.dumps(_TIMM).encode()
        if kind == "bytes":
            content, done = mutate_bytes(content, chance)
        elif kind == "header":
            header, done = self._mutated(header, chance)
            content = safetensors_bytes(header, numbers)
        elif kind == "length":
            content = (chance.choice(INTERESTING) * 8)[:8] + content[8:]
        elif kind == "timm":
            config, done = mutate_json(_TIMM, config, chance)
        name = "timm/model.safetensors" if kind == "timm" or chance.random() < 0.2 else "x.safetensors"
        (folder / name).write_bytes(content)
        (folder / "timm/config.json").write_bytes(config)
        return f"{layout} in {name}: {kind} {done}"

    @staticmethod
    def _mutated(header: bytes, chance: random.Random) -> tuple[bytes, str]:
        if chance.random() < 0.2:
            return mutate_bytes(header, chance)
        value = json.loads(header)
        if chance.random() < 0.7:  # one entry, of which there are more than a hundred
            name = chance.choice(list(value))
            value[name], done = mutate_value(value[name], chance)
            return json.dumps(value).encode(), f"{name}: {done}"
        return mutate_json(value, header, chance)

    def read(self, folder: pathlib.Path) -> str:
        file = folder / "x.safetensors"
        return open_and_check(file if file.exists() else folder / "timm", self._arrays if self._is_whole else None)
