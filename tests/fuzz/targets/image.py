"""Image files."""

import pathlib
import random

import numpy as np
import odd_images

from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import Target, WrongError

_ENDINGS = (".jpg", ".png", ".tif", ".bmp", ".tga", ".ppm", ".ico", ".gif", ".webp", ".avif", ".jp2", ".qoi")
_LARGEST = 20_000


class Images(Target):
    """Reads an image of a folder as training does, and compares it with what Pillow makes of it."""

    name = "image"
    seconds = 60.0
    memory = 6 << 30

    def make(self, folder: pathlib.Path) -> None:
        from odd_files import LOSSLESS, LOSSY, whole
        from odd_tiff import tiffs

        for case in [*whole(LOSSLESS, True), *whole(LOSSY, False), *tiffs(60, 2)]:
            if len(case.data) < _LARGEST:
                (folder / case.name).write_bytes(case.data)

    def load(self, folder: pathlib.Path) -> None:
        import warnings

        from PIL import Image

        from simsiam_tf.config.data import DataConfig
        from simsiam_tf.data import pipeline
        from simsiam_tf.data.dataset import DataSet
        from simsiam_tf.data.pixels import UnknownValuesError

        warnings.simplefilter("ignore")
        Image.MAX_IMAGE_PIXELS = None
        self._config, self._data, self._reader, self._asked = DataConfig, DataSet, pipeline._Reader, UnknownValuesError
        self._seeds = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
        self._others = tuple(content for _, content in self._seeds[::25])

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        name, content = chance.choice(self._seeds)
        stem, ending = name.rpartition(".")[0], name[name.rindex(".") :]
        done = "whole"
        if chance.random() < 0.97:
            content, done = mutate_bytes(content, chance, self._others)
        if chance.random() < 0.05:
            ending = chance.choice(_ENDINGS)
        (folder / f"x{ending}").write_bytes(content)
        return f"{stem}{ending}: {done}"

    def read(self, folder: pathlib.Path) -> tuple[str, str]:
        (file,) = folder.iterdir()
        config = self._config(dataset="folder", data_dir=str(folder), layout="flat", max_bad_fraction=0.999)
        source = self._data(config).training
        crop, side = np.zeros((odd_images.SIDE, odd_images.SIDE, 3), np.uint8), odd_images.SIDE
        reader = self._reader(source, (odd_images.view_policy(),), side, 0)
        try:
            found = reader._load([crop], 0, [np.zeros(0)], False)
        except self._asked as error:
            return odd_images.compare({"class": "asked", "said": str(error)}, file.read_bytes(), None)
        reasons = list(source.files._skipped.reasons.values())
        if found != 0 and not reasons:
            raise WrongError("left out without a word")
        answer = (
            {"class": "unreadable", "said": reasons[-1]} if reasons else {"class": "decoded", "said": "", "view": crop}
        )
        return odd_images.compare(answer, file.read_bytes(), None)
