"""Measures the exports of ResNet-18, 34 and 50 with both stems: differences, sizes, times, and 1,000 mixed requests.

Run it in the environment of `make test-interop`; a format whose packages are missing is left out. It prints Markdown:

    .venv-interop/bin/python benchmarks/interop.py > docs/results/interop.md

The weights are random, and so are the statistics of batch norm. Each network is measured in a process of its own, with
the stem for large images at 224 pixels and with the CIFAR stem at 32. Times are medians; what other processes took of
the machine meanwhile is beside them. With --json=FILE it goes on where it was stopped.
"""

import argparse
import datetime
import gc
import io
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from typing import Any

import harness
import numpy as np

ARCHS = ("resnet18", "resnet34", "resnet50")
SIZES = {"large images": 224, "CIFAR": 32}
BATCH = 32
PACKAGES = ("tensorflow", "keras", "numpy", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert", "safetensors", "torch")


def make_network(arch: str, stem: str, seed: int = 0) -> Any:
    """Makes a network with random weights and random statistics of batch norm."""
    from simsiam_tf.networks import BACKBONES

    network = BACKBONES[arch](cifar_stem=stem == "CIFAR")
    rng = np.random.default_rng(seed)
    for variable in network.variables:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.path.endswith(("beta", "moving_mean")):
            variable.assign(rng.normal(0, 0.1, variable.shape))
    return network


def measure_call(call: Callable[[], Any], tries: int = 3, quiet: float = 0.05) -> dict[str, float]:
    """Times a call several times over, and keeps the try in which other processes took the least of the machine.

    Returns:
        `wall`: the median seconds of a call; `cpu`: the seconds of processor time that a call took of this process,
        which others hardly change; `others`: the share of all cores that other processes had meanwhile.
    """
    call()
    found: list[dict[str, float]] = []
    while len(found) < tries and not (found and found[-1]["others"] < quiet):
        times: list[float] = []
        own, busy, start = time.process_time(), _busy_seconds(), time.perf_counter()
        while len(times) < 3 or sum(times) < 2:
            before = time.perf_counter()
            call()
            times.append(time.perf_counter() - before)
        own, busy, wall = time.process_time() - own, _busy_seconds() - busy, time.perf_counter() - start
        others = max(0.0, busy - own) / (wall * (os.cpu_count() or 1))
        found.append({"wall": float(np.median(times)), "cpu": own / len(times), "others": others})
    return min(found, key=lambda one: one["others"])


def _busy_seconds() -> float:
    """Returns the seconds for which the cores of this machine were busy, with all processes, since it started."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def runners(network: Any, folder: pathlib.Path) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Returns the functions from images `[N, S, S, 3] uint8` to features, by what runs them; Keras' own is first."""
    import tensorflow as tf

    from simsiam_tf.augment import ops

    found = {"Keras": lambda x: network.predict_on_batch(ops.normalize(tf.cast(x, tf.float32)))}
    if (folder / "saved_model.pb").exists():
        serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
        found["SavedModel"] = lambda x: serve(image=tf.constant(x))["features"].numpy()
    if (folder / "onnx").exists():
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"), options)
        found["ONNX"] = lambda x: session.run(["features"], {"image": x})[0]
    for file in sorted((folder / "litert").glob("*.tflite")):
        from simsiam_tf.interop import litert

        run = litert.make_runner(file, threads=2)
        found[f"LiteRT {file.stem.partition('_')[2]}"] = lambda x, run=run: run(image=x)["features"]
    return found


def measure_network(arch: str, stem: str) -> dict[str, Any]:
    """Exports a network in each format that can hold it, and times those that have a runtime here.

    Returns:
        `formats`: by format, what its check said, its MB and the seconds of the export; or why it was left out.
        `times`: by what runs them, `measure_call` of one image and of a batch, and the difference and the cosine
        similarity of the features to Keras'.
    """
    from simsiam_tf.errors import UsageError
    from simsiam_tf.interop.formats import FORMATS, Exported, export
    from simsiam_tf.networks.heads import make_predictor, make_projector

    network, size = make_network(arch, stem), SIZES[stem]
    heads = {"projector": make_projector(network.feature_dim), "predictor": make_predictor()}
    exported = Exported(network, size, heads)
    images = np.random.default_rng(1).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    result: dict[str, Any] = {"formats": {}, "times": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "export"
        for name in FORMATS:
            before, start = _bytes_in(folder), time.monotonic()
            try:
                said = export(exported, folder, [name])[name]
            except UsageError as error:
                result["formats"][name] = {"refused": str(error)}
                continue
            seconds = time.monotonic() - start
            result["formats"][name] = {"said": said, "MB": (_bytes_in(folder) - before) / 1e6, "seconds": seconds}
        expected = None
        for name, run in runners(network, folder).items():
            features = run(images)
            expected = features if expected is None else expected
            norms = np.linalg.norm(features, axis=1) * np.linalg.norm(expected, axis=1)
            result["times"][name] = {
                "one": measure_call(lambda run=run: run(images[:1])),
                "batch": measure_call(lambda run=run: run(images)),
                "difference": float(np.abs(features - expected).max() / np.abs(expected).max()),
                "cosine": float(((features * expected).sum(axis=1) / norms).min()),
            }
    return result


def measure_requests(count: int) -> dict[str, Any]:
    """Sends requests of mixed sizes and numbers to a SavedModel of ResNet-18, half of them files of images.

    Returns:
        `MiB`: the resident memory after each tenth of them; `functions`: the number of functions that TensorFlow holds
        after the first tenth and at the end, which each trace adds one to.
    """
    import tensorflow as tf
    from PIL import Image
    from tensorflow.python.eager import context

    from simsiam_tf.host import return_memory
    from simsiam_tf.interop.formats import Exported, export

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        export(Exported(make_network("resnet18", "CIFAR"), 32), pathlib.Path(temporary) / "export", ["savedmodel"])
        served = tf.saved_model.load(f"{temporary}/export")
    memory, functions = [], []
    for number in range(count):
        shape = (int(rng.integers(1, 33)), *rng.integers(16, 500, 2), 3)
        images = rng.integers(0, 256, shape, np.uint8)
        if number % 2:
            files = [b"no image"]
            for image in images:
                Image.fromarray(image).save(file := io.BytesIO(), "JPEG")
                files.append(file.getvalue())
            served.signatures["serving_bytes"](image_bytes=tf.constant(files))
        else:
            served.signatures["serving_default"](image=tf.constant(images))
        if (number + 1) % (count // 10) == 0:
            gc.collect()
            return_memory()
            memory.append(_resident_mib())
            functions.append(len(context.context().list_function_names()))
    return {"MiB": memory, "functions": [functions[0], functions[-1]]}


def _resident_mib() -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def _bytes_in(folder: pathlib.Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Measures all networks, each in a fresh process, and prints the tables."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--archs", default=",".join(ARCHS), help="networks, separated by commas")
    parser.add_argument("--requests", type=int, default=1000, help="number of mixed requests; 0: none")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        part, _, stem = options.one.partition(":")
        print(json.dumps(measure_requests(int(stem)) if part == "requests" else measure_network(part, stem)))
        return
    where = _where()  # before, since a commit may come meanwhile
    whats = [f"{arch}:{stem}" for arch in options.archs.split(",") for stem in SIZES]
    whats += [f"requests:{options.requests}"] if options.requests else []
    saved = pathlib.Path(options.json) if options.json else None
    results = json.loads(saved.read_text()) if saved and saved.exists() else {}
    for what in whats:
        if what not in results:
            results[what] = harness.measure_apart([sys.executable, __file__, f"--one={what}"])
            harness.write_result(results, options.json)
    print("\n".join([*where, *as_markdown({what: results[what] for what in whats})]))


def as_markdown(results: dict[str, Any]) -> list[str]:
    """Returns the lines of the page: the formats, the times, and the requests."""
    networks = {tuple(what.split(":")): result for what, result in results.items() if "formats" in result}
    lines = ["", "## Files", "", "The MB of litert are of its three files.", ""]
    lines += ["| network | stem | format | checked by | MB | seconds |", "|---|---|---|---|---|---|"]
    for (arch, stem), result in networks.items():
        for name, row in result["formats"].items():
            cells = ("cannot hold it", "", "") if "refused" in row else _cells(row)
            lines.append(f"| {arch} | {stem} | {name} | {' | '.join(cells)} |")
    lines += ["", "## Times", ""]
    lines += ["Keras is `predict_on_batch` of the network, on images that are normalised before. The"]
    lines += ["difference is the greatest one of a feature from Keras', in units of the greatest feature."]
    lines += [
        "CPU is the processor time of both cores for an image in the batch; others is the share of the machine that"
    ]
    lines += [
        "other processes had, for one image and for the batch. Where it is not near 0, the times are too long.",
        "",
    ]
    lines += ["| network | stem | run by | ms, batch 1 | images/s, batch 32 | CPU ms | others | difference | cosine |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for (arch, stem), result in networks.items():
        for name, row in result["times"].items():
            lines.append(f"| {arch} | {stem} | {name} | {' | '.join(_numbers(row))} |")
    for what, result in results.items():
        if "MiB" in result:
            first, last = result["functions"]
            lines += ["", "## Requests of mixed sizes", ""]
            count = what.partition(":")[2]
            lines += [f"{count} requests to one SavedModel of ResNet-18, of 1 to 32 images of 16 to 500"]
            lines += ["pixels a side, half of them files. Resident memory after each tenth, MiB:"]
            lines += [f"{', '.join(map(str, result['MiB']))}. Functions that TensorFlow holds, one more for each"]
            lines += [f"trace: {first} after a tenth, {last} at the end."]
    return lines


def _numbers(row: dict[str, Any]) -> tuple[str, ...]:
    one, batch = row["one"], row["batch"]
    times = f"{1e3 * one['wall']:.1f}", f"{BATCH / batch['wall']:.0f}", f"{1e3 * batch['cpu'] / BATCH:.1f}"
    return *times, f"{one['others']:.0%}, {batch['others']:.0%}", f"{row['difference']:.1e}", f"{row['cosine']:.6f}"


def _cells(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["said"].removeprefix("checked by "), f"{row['MB']:.1f}", f"{row['seconds']:.1f}"


def _where() -> list[str]:
    """Returns the command, date, commit, machine and versions, as lines."""
    from importlib import metadata

    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package.replace('_', '-')} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=harness.HERE)
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = info.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
    cores = info.count("processor\t")
    return [
        "# Exports",
        "",
        f"`benchmarks/interop.py`, {datetime.date.today()}, commit {commit.stdout.strip()}, {cores} cores of {model},",
        *textwrap.wrap(f"Python {platform.python_version()}, {', '.join(versions)}.", 118, break_on_hyphens=False),
        f"The load of the machine was {os.getloadavg()[1]:.1f} in the five minutes before.",
    ]


if __name__ == "__main__":
    main()
