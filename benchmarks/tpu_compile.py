"""Compiles a recipe's training step for a TPU that is not there, and tells whether it fits into the TPU's memory.

python benchmarks/tpu_compile.py --flagfile=flags/recipes/imagenet.flags --topology=v5e:2x2 [--replicas=4]
    [--precision=bfloat16] [--global_batch_size=256] [--json=FILE]

All flags other than --topology, --replicas and --json are those of train.py. It needs the environment of
requirements-tpu-check.txt, which `make test-tpu` makes. The program is the whole step of one core among several: the
views of uint8 images, both passes, the all-reduces and the update. TPUStrategy itself takes no part.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import harness

# Images of up to this side are held in memory; larger ones arrive on canvases, or cropped by the host.
IN_MEMORY_SIDE = 64


def lower(arguments: list[str], replicas: int):
    """Lowers the step of one replica among several.

    Args:
        arguments: flags of train.py.
        replicas: the number of replicas.

    Returns:
        The configuration of the run, the number of images of one replica at a time, and the program.
    """
    import stablehlo

    from simsiam_tf.augment import policies
    from simsiam_tf.augment import views as augment_views
    from simsiam_tf.cli import flags as definitions
    from simsiam_tf.data.crops import Canvases
    from simsiam_tf.distribute.input import per_replica_batch_size

    config = definitions.training_config_of(["--workdir=unused", *arguments])
    size, views = config.data.image_size, policies.resolve(config.augment)
    parts = config.devices.accumulate_steps
    batch = per_replica_batch_size(config.data.global_batch_size, replicas, parts)
    model, variables = stablehlo.make_trainer(config, steps_per_epoch=1000)
    on_canvas = 0 if config.augment.crop_on == "host" else Canvases(views, size).canvas
    whole = size if size <= IN_MEMORY_SIDE else on_canvas
    inputs = stablehlo.step_inputs(views, batch, size, whole)

    def step(*batches):
        *earlier, last = (augment_views.make_views(views, size, batch) for batch in batches)
        for part in earlier:
            model.accumulate_step(part)
        return model.train_step(last)

    return config, batch, stablehlo.lower(step, [inputs] * parts, variables, replicas)


def compile_file(path: str, topology: str, replicas: int) -> dict:
    """Compiles a program for a TPU, without TensorFlow, and returns what the compiler reports.

    Args:
        path: the file of the program, in StableHLO.
        topology: the kind and shape of the TPU, such as `v5e:2x2`.
        replicas: the number of cores that take part.
    """
    import pjrt

    pjrt.use_tpu_compiler()
    devices = pjrt.tpu_topology(topology)[:replicas]
    if len(devices) < replicas:
        return {"fits": False, "problem": f"{topology} has {len(devices)} cores, fewer than {replicas}."}
    try:
        executable, seconds = pjrt.compile_program(pathlib.Path(path).read_text(), devices)
    except Exception as error:  # the class of the compiler's errors is private
        reason = re.sub(r"\s+", " ", str(error))
        if "RESOURCE_EXHAUSTED" not in reason:
            raise
        return {"fits": False, "problem": reason[:300]}
    memory = executable.get_compiled_memory_stats()
    text = executable.hlo_modules()[0].to_string()
    needed = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    needed -= memory.alias_size_in_bytes
    return {
        "fits": True,
        "compile_seconds": round(seconds, 1),
        "argument_gib": memory.argument_size_in_bytes / 2**30,
        "output_gib": memory.output_size_in_bytes / 2**30,
        "temporary_gib": memory.temp_size_in_bytes / 2**30,
        "needed_gib": needed / 2**30,
        "all_reduces_compiled": len(re.findall(r"= [^=]* all-reduce(?:-start)?\(", text)),
    }


def compile_apart(text: str, topology: str, replicas: int) -> dict:
    """Compiles a program in a process that loads JAX and no TensorFlow; ends this one if it does not compile.

    Args:
        text: the program, in StableHLO.
        topology: the kind and shape of the TPU.
        replicas: the number of cores that take part.
    """
    print(f"Compiling {len(text) / 1e6:.1f} MB of StableHLO for {topology}: minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "step.stablehlo"
        path.write_text(text)
        command = [sys.executable, __file__, f"--program={path}", f"--topology={topology}"]
        done = subprocess.run([*command, f"--replicas={replicas}"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: the program does not compile for {topology}.\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--topology", default="v5e:2x2", help="kind and shape, as v5e:2x2, v4:2x2x1, v6e:2x2")
    parser.add_argument("--replicas", type=int, default=4, help="cores that take part")
    parser.add_argument("--program", help=argparse.SUPPRESS)  # for the second process, with JAX and no TensorFlow
    options, rest = parser.parse_known_args()
    if options.program:
        print(json.dumps(compile_file(options.program, options.topology, options.replicas)))
        return
    print(f"Lowering the step of one of {options.replicas} cores", flush=True)
    config, batch, program = lower(rest, options.replicas)
    all_reduces = program.text.count("stablehlo.all_reduce")
    found = compile_apart(program.text, options.topology, options.replicas)
    result = {
        "topology": options.topology,
        "replicas": options.replicas,
        "arch": config.model.arch,
        "image_size": config.data.image_size,
        "images_per_core": batch,
        "precision": config.devices.precision,
        "all_reduces": all_reduces,
        **found,
    }
    harness.write_result(result, options.json, indent=2)
    print(json.dumps(result))
    if not found["fits"]:
        sys.exit(f"error: it does not fit. {found['problem']}")
    print(
        f"Fits: {config.model.arch} at {config.data.image_size}, {batch} images a core in {config.devices.precision}, "
        f"on {options.replicas} cores of {options.topology}: {found['needed_gib']:.2f} GiB "
        f"a core, {all_reduces} all-reduces ({found['all_reduces_compiled']} after the compiler joined some)."
    )


if __name__ == "__main__":
    main()
