import numpy as np
import pytest
from PIL import Image

from tests.faults.commands import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """What starts commands; a process of pytest-xdist has its own."""
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """16 images to train on and 8 to test on, of two classes; made, not downloaded."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 8)):
        for i in range(count):
            path = folder / split / f"class{i % 2}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
            coarse.resize((20, 20), Image.Resampling.BICUBIC).save(path)
    return folder
