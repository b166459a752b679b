"""Compiles a detector's training step for a TPU that is not there, and tells how much memory it needs.

python benchmarks/tpu_compile_detector.py [--topology=v5e:2x2] [--replicas=4] [--images=2] [--precision=bfloat16]
    [--classes=80] [--side=800] [--long_side=1344] [--objects=96] [--nomasks] [--arch=resnet50] [--json=FILE]

It needs the environment of requirements-tpu-check.txt, which `make test-tpu` makes. The program is the whole step of
one core among several, on one canvas: normalisation, both passes, sampling, the all-reduces and the update.
"""

import harness
import tpu_compile


def lower(options):
    """Lowers the step of one replica among several."""
    import keras
    import stablehlo
    import tensorflow as tf

    from simsiam_tf.config.detector import DetectorConfig
    from simsiam_tf.detection import Detector
    from simsiam_tf.detection.c4 import normalised
    from simsiam_tf.networks import BACKBONES
    from simsiam_tf.optim import SGD, WarmupSteps
    from simsiam_tf.training import factory

    factory.set_precision(options.precision)
    keras.utils.set_random_seed(0)
    backbone = BACKBONES[options.arch](width=options.width)
    detector = Detector(backbone, options.classes, DetectorConfig(masks=options.masks))
    detector.compile(SGD(WarmupSteps(0.02, (60000, 80000), 1000), 0.9, 1e-4))
    detector.optimizer.build(detector.trainable_variables)
    batch, height, width, objects = options.images, options.side, options.long_side, options.objects
    inputs = {
        "images": tf.TensorSpec([batch, height, width, 3], tf.uint8),
        "sizes": tf.TensorSpec([batch, 2], tf.int32),
        "boxes": tf.TensorSpec([batch, objects, 4], tf.float32),
        "classes": tf.TensorSpec([batch, objects], tf.int32),
        "keys": tf.TensorSpec([batch, 2], tf.uint32),
    }
    if options.masks:
        inputs["masks"] = tf.TensorSpec([batch, objects, height, -(-width // 8)], tf.uint8)
    held = {
        "model": detector.variables,
        "optimizer": detector.optimizer.variables,
        "averages": detector.metrics_variables,
    }
    variables = {f"{kind}/{v.path}": v.value for kind, group in held.items() for v in group}
    return stablehlo.lower(lambda b: detector.train_step(normalised(b)), [inputs], variables, options.replicas)


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--topology", default="v5e:2x2", help="kind and shape, as v5e:2x2")
    parser.add_argument("--replicas", type=int, default=4, help="cores that take part")
    parser.add_argument("--images", type=int, default=2, help="images of a core")
    parser.add_argument("--precision", default="bfloat16", help="as --precision of transfer.py")
    parser.add_argument("--arch", default="resnet50", help="the backbone")
    parser.add_argument("--width", type=float, default=1.0, help="multiplier of its channels")
    parser.add_argument("--classes", type=int, default=80, help="number of classes")
    parser.add_argument("--side", type=int, default=800, help="height of the canvas, pixels")
    parser.add_argument("--long_side", type=int, default=1344, help="width of the canvas, pixels")
    parser.add_argument("--objects", type=int, default=96, help="greatest number of objects in an image")
    parser.add_argument("--nomasks", dest="masks", action="store_false", help="Faster R-CNN, without masks")
    options = parser.parse_args()
    print(f"Lowering the step of one of {options.replicas} cores", flush=True)
    program = lower(options)
    found = tpu_compile.compile_apart(program.text, options.topology, options.replicas)
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    result = {**settings, "all_reduces": program.text.count("stablehlo.all_reduce"), **found}
    harness.write_result(result, options.json, indent=2)
    print(result)


if __name__ == "__main__":
    main()
