"""Makes a folder of 2,000 loose photographs, of several sizes and orientations, from a few large ones.

python benchmarks/photographs.py --source=FOLDER --out=photos

scikit-image has such photographs: after `pip install scikit-image` they lie in the folder `skimage/data` of the
package. Each result is a random part of one of them, at a random scale, saved as a JPEG of random quality. Half of the
results are stored turned, with the EXIF orientation that turns them back, as cameras do. The names of the results do
not tell which photograph they come from; `sources.csv`, beside the folder, does.
"""

import argparse
import csv
import pathlib
import random

from PIL import Image, ImageOps

NAMES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg"),
    "rocket.jpg",
)
# How a picture is stored for each EXIF orientation, so that a viewer that follows it shows the picture upright.
_STORED = {
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_ORIENTATION = 0x0112


def main() -> None:
    """Makes the photographs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="folder of the large photographs")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder to make; it must not exist")
    parser.add_argument("--count", default=2000, type=int, help="number of photographs to make")
    parser.add_argument("--seed", default=0, type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    rng = random.Random(options.seed)
    photographs = [(name, Image.open(options.source / name).convert("RGB")) for name in NAMES]
    names = [photographs[i % len(photographs)] for i in range(options.count)]
    rng.shuffle(names)
    with (options.out.parent / "sources.csv").open("w", newline="") as file:
        table = csv.writer(file)
        for number, (source, photograph) in enumerate(names):
            name = f"IMG_{number:04d}.jpg"
            _save_part(photograph, options.out / name, rng)
            table.writerow([name, source])
    print(f"Wrote {options.count} photographs to {options.out}.")


def _save_part(photograph: Image.Image, path: pathlib.Path, rng: random.Random) -> None:
    """Saves a random part of a photograph."""
    width, height = photograph.size
    share = rng.uniform(0.35, 0.9)
    part_width, part_height = round(width * share * rng.uniform(0.7, 1)), round(height * share * rng.uniform(0.7, 1))
    left, top = rng.randint(0, width - part_width), rng.randint(0, height - part_height)
    part = photograph.crop((left, top, left + part_width, top + part_height))
    longer_side = rng.choice((320, 640, 1024, 1600))
    part = ImageOps.contain(part, (longer_side, longer_side))
    orientation = rng.choice((1, 1, 1, 3, 6, 8))
    turn = _STORED[orientation]
    stored = part if turn is None else part.transpose(turn)
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    stored.save(path, quality=rng.randint(70, 95), exif=exif)


if __name__ == "__main__":
    main()
