"""Files that travel in parts arrive whole, or a sentence says what is missing."""

import sys

import numpy as np
import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import parts


@pytest.fixture
def folders(tmp_path, rng):
    made, images = {}, rng.integers(0, 256, (40, 8, 8, 3), np.uint8)  # 7680 bytes that do not compress
    for name in ("a", "b"):
        made[name] = tmp_path / name
        made[name].mkdir()
        (made[name] / "own.txt").write_text(name)
        np.save(made[name] / "images.npy", images)
    (made["b"] / "weights.npz").write_bytes(rng.bytes(5000))
    return made


def test_images_come_back_to_the_bit(rng):
    images = rng.integers(0, 256, (9, 5, 7, 3), np.uint8)
    np.testing.assert_array_equal(parts.of_differences(parts.differences(images), images.shape), images)


def test_folders_arrive_in_any_order_of_parts_and_equal_files_travel_once(folders, tmp_path):
    count, out, place = parts.pack(folders, tmp_path / "out", 5000), tmp_path / "out", tmp_path / "there"
    assert count == 3
    assert sum(path.stat().st_size for path in out.glob("*/part-*")) < 13_000
    assert parts.missing_parts(place) == ["all"]
    assert parts.take([out / "3"], place) == ["1", "2"]
    assert not (place / "a").exists()
    assert parts.take([out / "1", out / "2"], place) == []
    for name, folder in folders.items():
        for path in folder.iterdir():
            assert (place / name / path.name).read_bytes() == path.read_bytes()


def test_a_damaged_part_is_refused(folders, tmp_path):
    parts.pack(folders, tmp_path / "out", 5000)
    path = tmp_path / "out" / "2" / "part-2"
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    with pytest.raises(SystemExit, match="part-2 is damaged; send it again"):
        parts.take([tmp_path / "out" / "2"], tmp_path / "there")


def test_parts_of_another_packing_do_not_mix(folders, tmp_path):
    parts.pack(folders, tmp_path / "out", 5000)
    parts.take([tmp_path / "out" / "1"], tmp_path / "there")
    (folders["a"] / "own.txt").write_text("new")
    parts.pack(folders, tmp_path / "out", 5000)
    assert parts.take([tmp_path / "out" / "2"], tmp_path / "there") == ["1", "3"]
