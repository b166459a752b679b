"""Times torchvision's transforms of PIL images, which most people would use instead, on input_pipeline.py's images.

python benchmarks/input_pipeline_torchvision.py --kind=imagenet --cores=1 --json=FILE

It needs torch and torchvision, but no TensorFlow. The rates have the same meaning as in input_pipeline.py; `crops` is
decoding and two random resized crops. Everything runs in this process: with one core, a DataLoader would only add work.
"""

import argparse
import io
import json
import os
import pathlib
import random
import statistics
import tempfile
import time

import harness
import numpy as np
import torch
from input_pipeline import BATCH, VIEW_SIZE, make_photographs
from PIL import Image, ImageFilter
from torchvision import transforms


class Blur:
    """Blurs a PIL image by a Gaussian with a random sigma, as MoCo v2 and SimSiam do."""

    def __call__(self, image):
        """Returns the blurred image."""
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


def two_views(kind: str):
    """Makes the random crop alone, and the whole augmentation of a view."""
    crop = transforms.RandomResizedCrop(VIEW_SIZE[kind], scale=(0.2, 1.0))
    blur = [transforms.RandomApply([Blur()], p=0.5)] if kind == "imagenet" else []
    colours = transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8)
    to_input = [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    flip = transforms.RandomHorizontalFlip()
    return crop, transforms.Compose([crop, colours, transforms.RandomGrayscale(0.2), *blur, flip, *to_input])


def measure(function, batch: int, collate: bool, options: argparse.Namespace) -> dict[str, float]:
    """Measures images per second of the best round, and per second of processor time.

    Args:
        function: a function of the number of an image, whose work is timed.
        batch: the number of images in a batch.
        collate: whether to stack the views into batches, as a training step needs them.
        options: the flags.
    """
    rates, of_processor, number = [], [], 0
    for _ in range(options.rounds):
        start, processor, images = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - start < options.seconds:
            made = [function(number + i) for i in range(batch)]
            if collate:
                for view in (0, 1):
                    torch.stack([views[view] for views in made])
            number, images = number + batch, images + batch
        rates.append(images / (time.perf_counter() - start))
        of_processor.append(images / (time.process_time() - processor))
    return {"images_per_second": max(rates), "images_per_cpu_second": statistics.median(of_processor)}


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--kind", choices=sorted(VIEW_SIZE), default="imagenet")
    parser.add_argument("--cores", type=int, choices=[1], default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    torch.set_num_threads(1)
    crop, view = two_views(options.kind)
    batch = BATCH[options.kind]
    if options.kind == "cifar":
        arrays = np.random.default_rng(0).integers(0, 256, (4096, 32, 32, 3), np.uint8)

        def everything(number):
            image = Image.fromarray(arrays[number % len(arrays)])
            return view(image), view(image)

        rates = {"all": measure(everything, batch, True, options)}
    else:
        with tempfile.TemporaryDirectory() as folder:
            make_photographs(pathlib.Path(folder))
            files = sorted(pathlib.Path(folder).iterdir())

            def decoded(number):
                return Image.open(io.BytesIO(files[number % len(files)].read_bytes())).convert("RGB")

            def cropped(number):
                image = decoded(number)
                return crop(image), crop(image)

            def everything(number):
                image = decoded(number)
                return view(image), view(image)

            rates = {
                "crops": measure(cropped, batch, False, options),
                "all": measure(everything, batch, True, options),
                "decode": measure(decoded, batch, False, options),
            }
    result = {f"{way}_{name}": value for way, values in rates.items() for name, value in values.items()}
    result |= {name: value for name, value in vars(options).items() if name != "json"}
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
