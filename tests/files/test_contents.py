"""Reading and writing, alike on this machine and in a bucket."""

import os
import pathlib
import time

import numpy as np
import pytest

from simsiam_tf import files
from simsiam_tf.errors import UsageError
from tests.fake_gcs import Fault


@pytest.fixture(params=["local", "bucket"])
def root(request, tmp_path):
    if request.param == "local":
        return tmp_path / "made" / "here"
    return files.as_path(f"{request.getfixturevalue('gcs').address}/made/here")


def test_a_text_with_any_name_in_it(root):
    files.make_folder(root)
    files.write_text(root / "a.txt", "caf\udce9\n")
    files.append_text(root / "a.txt", "データ\n")
    files.append_text(root / "new.txt", "x\n")
    assert files.read_text(root / "a.txt") == "caf\udce9\nデータ\n"
    assert files.read_text(root / "new.txt") == "x\n"
    assert files.file_size(root / "new.txt") == files.size_of_file(root / "new.txt") == 2
    assert files.modified(root / "new.txt") > 0
    assert sorted(path.name for path in root.iterdir()) == ["a.txt", "new.txt"]


def test_what_is_not_there(root):
    files.make_folder(root)
    with pytest.raises(FileNotFoundError):
        files.read_regular(root / "none")
    with pytest.raises(OSError):
        files.file_size(root / "none")
    assert files.size_of_file(root / "none") == files.modified(root / "none") == -1
    assert not files.exists(root / "none")
    files.remove_folder(root / "none")


def test_a_file_is_replaced_whole_or_not_at_all(root):
    files.make_folder(root)
    files.write_text(root / "a", "before")
    with pytest.raises(KeyError), files.replacing(root / "a") as draft:
        draft.write_text("aft")
        raise KeyError
    assert files.read_text(root / "a") == "before"
    with files.replacing(root / "a") as draft:
        draft.write_text("after")
    assert files.read_text(root / "a") == "after"
    assert [path.name for path in root.iterdir()] == ["a"]


def test_a_folder_is_written_whole_or_not_at_all(root):
    files.make_folder(root)
    with pytest.raises(KeyError), files.replacing_folder(root / "out") as draft:
        (draft / "a").write_text("x")
        raise KeyError
    assert not files.exists(root / "out")
    with files.replacing_folder(root / "out") as draft:
        (draft / "below").mkdir()
        (draft / "below" / "a").write_text("x")
    assert files.read_text(root / "out" / "below" / "a") == "x"
    files.remove_folder(root / "out")
    assert not files.is_file(root / "out" / "below" / "a")


def test_arrays(root):
    files.make_folder(root)
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    with files.replacing(root / "a.npy") as draft, draft.open("wb") as file:
        np.save(file, array)
    with files.replacing(root / "b.npz") as draft, draft.open("wb") as file:
        np.savez(file, x=array)
    for mapped in (False, True):
        np.testing.assert_array_equal(files.load_array(root / "a.npy", mapped), array)
    np.testing.assert_array_equal(files.load_arrays(root / "b.npz")["x"], array)
    assert files.read_range(str(root / "a.npy"), 1, 5) == b"NUMPY"


def test_local_arrays_are_mapped_and_those_of_a_bucket_read(root):
    files.make_folder(root)
    with files.replacing(root / "a.npy") as draft, draft.open("wb") as file:
        np.save(file, np.zeros(4))
    is_mapped = isinstance(files.load_array(root / "a.npy", mapped=True), np.memmap)
    assert is_mapped == isinstance(root, pathlib.Path)


def test_what_is_in_the_way_is_set_aside(root, caplog):
    files.make_folder(root)
    files.write_text(root / "a", "1")
    files.set_aside(root / "a", "It was damaged")
    files.write_text(root / "a", "2")
    files.set_aside(root / "a", "It was damaged")
    assert files.read_text(root / "a.damaged") == "1"
    assert files.read_text(root / "a.damaged-2") == "2"


def test_a_place_to_write_to_is_tried(root):
    files.check_folder(root)
    files.check_output(root / "below" / "out.html")
    found = [path.name for path in root.iterdir()] if files.exists(root) else []
    assert [name for name in found if "write_test" in name] == []


def test_json(root):
    files.make_folder(root)
    files.write_json(root / "a.json", {"x": [1, 2.5]})
    assert files.parse_json(files.read_regular(root / "a.json")) == {"x": [1, 2.5]}
    with pytest.raises(ValueError, match=r"finite|JSON"):
        files.write_json(root / "a.json", {"x": float("nan")})


def test_a_lock_keeps_other_processes_out_of_a_folder_and_warns_of_them_in_a_bucket(root, caplog):
    files.make_folder(root)
    files.lock(root / ".lock")
    files.lock(root / ".lock")  # held already
    assert f"process {os.getpid()} on " in files.read_text(root / ".lock")
    files.release(root / ".lock")
    files.lock(root / ".lock")
    assert not caplog.records
    files.release(root / ".lock")
    if isinstance(root, pathlib.Path):
        return
    assert not files.exists(root / ".lock")
    files.write_text(root / ".lock", "process 1 on elsewhere, which began at noon\n")  # as after a kill
    files.lock(root / ".lock")
    assert "not left in order by process 1 on elsewhere, which began at noon; if that still runs" in caplog.text
    files.release(root / ".lock")


def test_a_lock_of_another_process_is_an_error_that_names_it(tmp_path):
    import fcntl

    path = tmp_path / ".lock"
    with path.open("w") as other:
        other.write("process 7 on elsewhere\n")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(files.LockHeldError, match=r"^process 7 on elsewhere$"):
            files.lock(path)


def test_an_output_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="--out must be a path that can be written"):
        files.check_output(tmp_path / "file" / "out.html")


def test_a_device_is_no_report_to_be_replaced(tmp_path):
    from simsiam_tf.evaluation.report.page import check_report_path

    os.mkfifo(tmp_path / "pipe.html")
    for path in (pathlib.Path("/dev/null"), tmp_path / "pipe.html"):
        with pytest.raises(UsageError, match="not a report of simsiam_tf"):
            check_report_path(path)


def test_a_full_disk_is_no_wrong_path(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        files.check_output(tmp_path / "out.html")


def test_what_a_local_run_left_is_no_warning(gcs, caplog):
    path = files.as_path(f"{gcs.address}/run/.lock")
    files.write_text(path, "process 1 on elsewhere\n")
    files.lock(path)
    assert not caplog.records
    files.release(path)


def test_the_end_of_a_process_does_not_wait_for_a_bucket_that_is_gone(gcs, monkeypatch):
    monkeypatch.setattr(files.locks, "_SECONDS", 0.3)
    path = files.as_path(f"{gcs.address}/run/.lock")
    files.lock(path)
    gcs.fail(Fault(0, seconds=30))
    begun = time.monotonic()
    files.release(path)
    assert time.monotonic() - begun < 20  # far from both, for a machine that is busy


def test_a_copy_for_programs_that_know_no_buckets(root):
    files.make_folder(root)
    files.write_text(root / "a.flags", "--epochs=2\n")
    with files.local_copy(root / "a.flags") as copy:
        assert copy.name == "a.flags"
        assert copy.read_text() == "--epochs=2\n"
    assert copy.exists() == isinstance(root, pathlib.Path)
