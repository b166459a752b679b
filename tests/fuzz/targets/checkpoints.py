"""Checkpoints of a run."""

import pathlib
import random

from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import Target, WrongError


class Checkpoints(Target):
    """Restores the latest checkpoint of a folder that can be read."""

    name = "checkpoints"
    seconds = 90.0
    memory = 6 << 30

    def make(self, folder: pathlib.Path) -> None:
        import keras

        from simsiam_tf.training.checkpoint_files import write_whole
        from simsiam_tf.training.checkpoints import _trackable

        keras.utils.set_random_seed(0)
        model = _model()
        import tensorflow as tf

        for step in (1, 2):
            write_whole(tf.train.Checkpoint(model=_trackable(model.variables)).write, folder, f"step-{step}")
            for variable in model.variables:
                variable.assign(variable.value + 1)

    def load(self, folder: pathlib.Path) -> None:
        from simsiam_tf.networks.fingerprint import variables_sha256
        from simsiam_tf.training import checkpoints

        self._module, self._sha = checkpoints, variables_sha256
        self._files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        self._others = tuple(self._files.values())
        self._folder = folder
        self._model, self._known = None, []

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        names = sorted(self._files)
        whole = chance.random() < 0.02
        changed = chance.sample(names, chance.choice([1, 1, 2]))
        done = []
        for name, content in self._files.items():
            if name in changed and not whole:
                content, how = mutate_bytes(content, chance, self._others)
                done.append(f"{name}: {how}")
            (folder / name).write_bytes(content)
        return "; ".join(done) or "whole"

    def read(self, folder: pathlib.Path) -> str:
        if self._model is None:
            self._model = _model()
            for step in (1, 2):
                self._module.restore_model(self._model, self._folder, f"step-{step}")
                self._known.append(self._sha(self._model.variables))
        for variable in self._model.variables:
            variable.assign(variable.value * 0)
        found = self._module.restore_model(self._model, folder)
        step = int(found[-1])
        if self._sha(self._model.variables) != self._known[step - 1]:
            raise WrongError(f"step {step} has other weights than were saved")
        return f"the weights of step {step}"


def _model():
    from simsiam_tf.methods import SimSiam
    from simsiam_tf.networks import resnet18

    return SimSiam(resnet18(width=0.0625), projector_dim=16, predictor_dim=8, steps_per_epoch=1)
