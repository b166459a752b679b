"""Times NVIDIA's DALI on a CPU, with input_pipeline.py's images.

python benchmarks/input_pipeline_dali.py --cores=1 --json=FILE

It needs the package nvidia-dali-cuda120, but no GPU and no TensorFlow. The rates have the same meaning as in
input_pipeline.py; `crops` is decoding and two random resized crops. Every op is DALI's own: `decoders.image`,
`random_resized_crop`, `color_twist`, `gaussian_blur` and `crop_mirror_normalize`, with the probabilities of the policy.
"""

import json
import os
import pathlib
import statistics
import tempfile
import time

import harness
from input_pipeline import BATCH, VIEW_SIZE, make_photographs
from nvidia.dali import fn, pipeline_def, types

MEAN, STD = [0.485 * 255, 0.456 * 255, 0.406 * 255], [0.229 * 255, 0.224 * 255, 0.225 * 255]


def chance(p: float):
    """Draws whether an op with probability p applies."""
    return fn.random.coin_flip(probability=p, dtype=types.BOOL)


@pipeline_def(enable_conditionals=True)
def views(files: list[str], way: str):
    """Reads JPEG files, and makes what a way asks for."""
    encoded, _ = fn.readers.file(files=files, random_shuffle=True, name="files")
    image = fn.decoders.image(encoded, device="cpu", output_type=types.RGB)
    if way == "decode":
        return image
    made = []
    for _ in range(2):
        x = fn.random_resized_crop(image, size=VIEW_SIZE["imagenet"], random_area=[0.2, 1.0])
        if way == "all":
            jitters = chance(0.8)
            if jitters:
                x = fn.color_twist(
                    x,
                    brightness=fn.random.uniform(range=[0.6, 1.4]),
                    contrast=fn.random.uniform(range=[0.6, 1.4]),
                    saturation=fn.random.uniform(range=[0.6, 1.4]),
                    hue=fn.random.uniform(range=[-36.0, 36.0]),
                )
            is_grey = chance(0.2)
            if is_grey:
                x = fn.color_twist(x, saturation=0.0)
            blurs = chance(0.5)
            if blurs:
                x = fn.gaussian_blur(x, sigma=fn.random.uniform(range=[0.1, 2.0]), window_size=23)
            x = fn.crop_mirror_normalize(
                x, mirror=fn.random.coin_flip(), mean=MEAN, std=STD, dtype=types.FLOAT, output_layout="HWC"
            )
        made.append(x)
    return tuple(made)


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure one way alone: all, crops or decode")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    batch, result = BATCH["imagenet"], {}
    with tempfile.TemporaryDirectory() as folder:
        make_photographs(pathlib.Path(folder))
        files = sorted(map(str, pathlib.Path(folder).iterdir()))
        for way in ("all", "crops", "decode") if not options.only else (options.only,):
            pipeline = views(files, way, batch_size=batch, num_threads=options.cores, device_id=None)
            pipeline.build()
            for _ in range(3):
                pipeline.run()
            rates, of_processor = [], []
            for _ in range(options.rounds):
                start, processor, images = time.perf_counter(), time.process_time(), 0
                while time.perf_counter() - start < options.seconds:
                    pipeline.run()
                    images += batch
                rates.append(images / (time.perf_counter() - start))
                of_processor.append(images / (time.process_time() - processor))
            result |= {
                f"{way}_images_per_second": max(rates),
                f"{way}_images_per_cpu_second": statistics.median(of_processor),
            }
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
