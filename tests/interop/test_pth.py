"""Files of PyTorch: written and read without it, and never run."""

import io
import os
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest

from simsiam_tf.interop.harmless_pickle import NoWeightsError
from simsiam_tf.interop.pth_reading import read_pth
from simsiam_tf.interop.pth_writing import pth_bytes


@pytest.fixture
def arrays(rng):
    return {
        "conv1.weight": rng.normal(size=(4, 3, 7, 7)).astype(np.float32),
        "bn1.num_batches_tracked": np.array(7, np.int64),
        "double": rng.normal(size=5),
        "empty": np.zeros((0, 3), np.float32),
    }


def read(content):
    return read_pth(io.BytesIO(content))


@pytest.mark.parametrize("below", ["", "state_dict", "model"])
def test_what_is_written_is_read_in_all_bits(arrays, below):
    tree = {"epoch": 3, "arch": "resnet18", below: arrays} if below else arrays
    found = read(pth_bytes(tree))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        with pytest.raises(ValueError, match="read-only"):
            found[name][...] = 0


def test_the_same_weights_make_the_same_bytes(arrays):
    assert pth_bytes(arrays) == pth_bytes(arrays)
    with pytest.raises(TypeError, match="with float16 in it"):
        pth_bytes({"half": np.zeros(2, np.float16)})


class Global:
    """Pickles as a name in another module, as classes do; with arguments, as a call of what the name stands for."""

    def __init__(self, name, *arguments):
        self.name, self.arguments = name, arguments


class Storage:
    """Pickles as a reference to a storage."""

    def __init__(self, *pid):
        self.pid = pid


class ForeignPickler(pickle._Pickler):
    """Writes what PyTorch writes, in Python, so that names need not exist here."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Storage):
            self.save(obj.pid)
            self.write(pickle.BINPERSID)
        elif isinstance(obj, Global):
            module, _, name = obj.name.rpartition(".")
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
            if obj.arguments:
                self.save(obj.arguments)
                self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(value):
    content = io.BytesIO()
    ForeignPickler(content, protocol=2).dump(value)
    return content.getvalue()


def tensor(*, key="0", count=6, offset=0, size=(2, 3), strides=(3, 1), kind="FloatStorage"):
    storage = Storage("storage", Global(f"torch.{kind}"), key, "cuda:0", count)
    return Global("torch._utils._rebuild_tensor_v2", *(storage, offset, size, strides, False, None))


def archive(tree, compression=zipfile.ZIP_STORED, **storages):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        file.writestr("net/data.pkl", pickled(tree))
        for key, storage in (storages or {"0": np.arange(6, dtype=np.float32).tobytes()}).items():
            file.writestr(f"net/data/{key.lstrip('_')}", storage)
    return content.getvalue()


def test_views_and_types_of_pytorch_are_read():
    numbers = np.arange(6, dtype=np.float32)
    turned = read(
        archive({"w": tensor(size=(3, 2), strides=(1, 3)), "part": tensor(offset=2, size=(2,), strides=(2,))})
    )
    np.testing.assert_array_equal(turned["w"], numbers.reshape(2, 3).T)
    np.testing.assert_array_equal(turned["part"], [2, 4])
    half = numbers.astype(ml_dtypes.bfloat16)
    found = read(archive({"w": tensor(kind="BFloat16Storage")}, _0=half.tobytes()))["w"]
    np.testing.assert_array_equal(found.astype(np.float32), numbers.reshape(2, 3))


def test_objects_of_other_programs_are_passed_over():
    """Lightning keeps settings and callbacks, whose classes are not there, beside the weights."""
    others = {
        "callbacks": Global("pytorch_lightning.callbacks.ModelCheckpoint", "best"),
        "hyper_parameters": Global("omegaconf.dictconfig.DictConfig", {"lr": 0.1}),
        "state_dict": {"w": Global("torch._utils._rebuild_parameter", tensor(), True, None)},
    }
    assert list(read(archive(others))) == ["w"]


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "builtins.exec", "subprocess.Popen"])
def test_nothing_in_a_file_is_run(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = "open('ran', 'w')" if name.startswith("builtins") else "touch ran"
    hostile = {"state_dict": {"w": tensor()}, "x": Global(name, command)}
    assert list(read(archive(hostile))) == ["w"]
    with pytest.raises(NoWeightsError):
        read(pickled(Global(name, command)))
    assert not os.listdir(tmp_path)


def test_a_file_cannot_change_how_the_next_one_is_read():
    """BUILD, on what a name stands for, sets attributes of it."""
    poison = pickle.PROTO + b"\x02" + pickle.GLOBAL + b"torch._utils\n_rebuild_tensor_v2\n"
    poison += pickle.NONE + pickle.EMPTY_DICT + pickle.BINUNICODE + struct.pack("<I", 4) + b"func"
    poison += pickle.NONE + pickle.SETITEM + pickle.TUPLE2 + pickle.BUILD + pickle.STOP
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("net/data.pkl", poison)
    with pytest.raises(NoWeightsError):
        read(content.getvalue())
    assert list(read(archive({"w": tensor()}))) == ["w"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: archive({"w": tensor(count=7)}), "cut short"),
        (lambda: archive({"w": tensor(offset=1)}), "beyond its numbers"),
        (lambda: archive({"w": tensor(size=(10**9,), strides=(0,))}), "beyond its numbers"),
        (lambda: archive({"w": tensor(offset=-1, size=(1,), strides=(1,))}), "beyond its numbers"),
        (lambda: archive({"w": tensor(strides=(3,))}), "beyond its numbers"),
        (lambda: archive({"w": tensor(key="5")}), "damaged"),
        (lambda: archive({"w": tensor()}, zipfile.ZIP_DEFLATED), "compressed"),
        (lambda: archive({"epoch": 3}), r"no weights by name \(its entries: epoch\)"),
        (lambda: archive(["w"]), "no weights by name"),
        (lambda: pth_bytes({"w": np.zeros(9, np.float32)})[:-40], "damaged|not written by torch.save"),
        (lambda: b"", "not written by torch.save"),
        (lambda: b"\x80\x02." * 3, "damaged"),
        (lambda: b"PK\x03\x04" + bytes(50), "not written by torch.save"),
        (lambda: pickled({"w": [1, 2]}), "not written by torch.save"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content, why):
    with pytest.raises(NoWeightsError, match=why):
        read(content())


def legacy(length=6, numbers=6):
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    storage = Storage("storage", Global("torch.FloatStorage"), "7", "cpu", 6, None)
    view = Global("torch._utils._rebuild_tensor_v2", *(storage, 0, (2, 3), (3, 1), False, None))
    parts += [{"state_dict": {"w": view}}, ["7"]]
    values = np.arange(numbers, dtype=np.float32).tobytes()
    return b"".join(map(pickled, parts)) + length.to_bytes(8, "little") + values


def test_the_format_before_pytorch_1_6_is_read():
    np.testing.assert_array_equal(read(legacy())["w"], np.arange(6, dtype=np.float32).reshape(2, 3))
    with pytest.raises(NoWeightsError, match="cut short"):
        read(legacy(numbers=5))
    with pytest.raises(NoWeightsError, match="another length"):
        read(legacy(length=4))


def test_a_damaged_file_gives_one_kind_of_error(arrays, rng):
    """Of 300 files with a few bytes changed, each is read or refused; none raises anything else."""
    outcomes = []
    for whole in (pth_bytes({"state_dict": arrays}), legacy()):
        for _ in range(150):
            content = bytearray(whole)
            for at in rng.integers(0, len(content), 3):
                content[at] = rng.integers(0, 256)
            try:
                outcomes.append(bool(read(bytes(content))))
            except NoWeightsError:
                outcomes.append(False)
    assert len(outcomes) == 300
    assert 0 < sum(outcomes) < 300


def nested(levels):
    """Returns the opcodes of a tuple of tuples, whose hash and whose text take 2 ** levels steps."""
    return pickle.EMPTY_TUPLE + (pickle.DUP + pickle.TUPLE2) * levels


def of_many_dimensions():
    """Returns the opcodes of a tensor whose size is a product of 300,000 factors, which takes minutes."""
    sizes = pickle.MARK + (pickle.LONG1 + b"\x08" + b"\x7f" * 8) * 300_000 + pickle.TUPLE
    storage = pickled(tensor()).partition(b"Q")[0].removeprefix(b"\x80\x02") + b"Q"
    return storage + pickle.BININT1 + b"\0" + sizes + sizes + pickle.TUPLE2 * 0 + pickle.TUPLE + pickle.REDUCE


def calling_itself():
    """Returns the opcodes of a function that calls itself, which no limit of recursion of Python ends."""
    function = pickle.GLOBAL + b"torch._utils\n_rebuild_parameter\n" + pickle.BINPUT + b"\0"
    state = pickle.MARK + pickle.BINGET + b"\0" + pickle.EMPTY_TUPLE + pickle.EMPTY_DICT + pickle.NONE + pickle.TUPLE
    return function + state + pickle.BUILD + pickle.EMPTY_TUPLE + pickle.REDUCE


@pytest.mark.parametrize(
    "opcodes",
    [
        pickle.EMPTY_DICT + nested(60) + pickle.NONE + pickle.SETITEM,
        pickle.EMPTY_DICT + pickle.MARK + nested(60) + pickle.NONE + pickle.SETITEMS,
        pickle.MARK + nested(60) + pickle.NONE + pickle.DICT,
        pickle.EMPTY_SET + pickle.MARK + nested(60) + pickle.ADDITEMS,
        pickle.MARK + nested(60) + pickle.FROZENSET,
        pickle.NONE + pickle.LONG_BINPUT + b"\xff\xff\xff\x7f",  # in C, a memo of 32 GB
        pickle.BINBYTES8 + struct.pack("<Q", 2**40),
        pickle.FRAME + struct.pack("<Q", 2**40),
        pickle.EMPTY_DICT + pickle.BINUNICODE + b"\1\0\0\0w" + of_many_dimensions() + pickle.SETITEM,
        calling_itself(),
    ],
)
def test_a_few_bytes_ask_for_no_hours_and_no_gigabytes(opcodes):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("net/data.pkl", pickle.PROTO + b"\x04" + opcodes + pickle.STOP)
    with pytest.raises(NoWeightsError):
        read(content.getvalue())
