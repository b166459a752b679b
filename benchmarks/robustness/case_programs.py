"""Holds the short programs of cases.py, which it gives to Python in place of a script."""

NARROW_SHORTCUT = """
import numpy as np, tensorflow as tf, simsiam_tf
from simsiam_tf import resnet18
images = np.random.default_rng(0).standard_normal((17, 64, 64, 3)).astype("float32")
block = resnet18(cifar_stem=True, width=0.0625).blocks[2]
for _ in range(20):
    x = tf.random.stateless_normal([17, 64, 64, 4], [0, 0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(block(x))) / 2
    got = tape.gradient(loss, block.shortcut_conv.kernel)[0, 0]
    scale = (1 + 1e-5) ** -0.5
    pixels = tf.reshape(x[:, ::2, ::2], [-1, 4])
    outputs = tf.nn.relu(pixels @ block.shortcut_conv.kernel[0, 0] * scale)
    expected = tf.transpose(pixels) @ outputs * scale
    assert float(tf.reduce_max(tf.abs(got - expected)) / tf.reduce_max(tf.abs(expected))) < 1e-4, "a wrong gradient"
print("equal")
"""

TWO_REPLICAS = """
import numpy as np, tensorflow as tf, keras
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from simsiam_tf import SGD, SimSiam
views = np.random.default_rng(0).standard_normal((2, 8, 8, 8, 3)).astype("float32")
views[:, 4:] += 3
means = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((8, 8, 3))
        norm = keras.layers.BatchNormalization()
        x = keras.layers.ReLU()(norm(keras.layers.Conv2D(8, 3)(inputs)))
        model = SimSiam(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)), projector_dim=16,
                        projector_layers=2, predictor_dim=8)
        model.compile(SGD(0.1))
    model.fit(tf.data.Dataset.from_tensors(tuple(views)).unbatch().batch(8), verbose=0)
    means.append(norm.moving_variance.numpy())
np.testing.assert_allclose(*means, atol=1e-5)
print("equal")
"""

CLOSED_FOLDERS = """
import errno, os, sys
open_file = os.open
def refusing(path, flags, *args, **kwargs):
    if "dir_fd" not in kwargs and not flags & os.O_CREAT and os.path.isdir(path) and "checkpoints" in os.fspath(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    return open_file(path, flags, *args, **kwargs)
os.open = refusing
sys.argv[0] = "train.py"
exec(compile(open("train.py").read(), "train.py", "exec"))
"""

LOADS = """
import os, subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "backbone.keras")
    save = f"import simsiam_tf; simsiam_tf.resnet18(width=0.125).save({path!r})"
    subprocess.run([sys.executable, "-c", save], check=True)
    load = f"import simsiam_tf, keras; keras.saving.load_model({path!r})"
    subprocess.run([sys.executable, "-c", load], check=True)
print("loaded")
"""

# Python's arguments follow the program: the flags, with --workdir last. Needs the right to mount.
FULL_DISK = """
import os, pathlib, subprocess, sys
if "IN_A_NAMESPACE" not in os.environ:
    command = ["unshare", "-m", sys.executable, *sys.orig_argv[1:]]
    sys.exit(subprocess.run(command, env={**os.environ, "IN_A_NAMESPACE": "1"}).returncode)
size, run = os.environ["SIZE"], pathlib.Path(sys.argv[-1].split("=", 1)[1])
run.mkdir(parents=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", run], check=True)
train = [sys.executable, "train.py", *sys.argv[1:]]
first = subprocess.run(train, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(first.stdout[-2000:], flush=True)
assert first.returncode == 1, f"exit code {first.returncode}"
drafts = [path for path in run.rglob("*") if "draft" in path.name]
assert not drafts, drafts
saved = list((run / "checkpoints").glob("*.index")) if (run / "checkpoints").exists() else []
print("checkpoints that are left:", len(saved), flush=True)
subprocess.run(["mount", "-o", "remount,size=1g", run], check=True)
sys.exit(subprocess.run(train).returncode)
"""
