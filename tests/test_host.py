"""What the machine and its container leave to a process."""

import pytest

from simsiam_tf.host import available_memory, has_bfloat16, return_memory, usable_cores

GIB = 2**30


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def machine(tmp_path):
    """A machine with 8 GiB free."""
    write(tmp_path, {"proc/meminfo": f"MemTotal: {16 * GIB // 1024} kB\nMemAvailable: {8 * GIB // 1024} kB\n"})
    return tmp_path


def test_the_machine_says_what_is_free(machine):
    assert available_memory(str(machine)) == 8 * GIB
    assert 0 < available_memory() < 2**50
    assert usable_cores() >= 1


@pytest.mark.parametrize(
    ("limit", "used", "statistics", "cache"),
    [
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ],
)
def test_a_container_may_leave_less(machine, limit, used, statistics, cache):
    group = machine / "sys/fs/cgroup"
    write(group, {limit: f"{4 * GIB}\n", used: f"{3 * GIB}\n", statistics: f"anon 5\n{cache} {GIB}\n"})
    assert available_memory(str(machine)) == 2 * GIB
    write(group, {used: f"{5 * GIB}\n", statistics: ""})
    assert available_memory(str(machine)) == 1
    write(group, {limit: f"{2**63 - 1}\n"})
    assert available_memory(str(machine)) == 8 * GIB
    write(group, {limit: "max\n"})
    assert available_memory(str(machine)) == 8 * GIB


def test_memory_is_returned_where_the_c_library_can(monkeypatch):
    calls = []

    class Library:
        malloc_trim = calls.append

    monkeypatch.setattr("ctypes.CDLL", lambda name: Library)
    monkeypatch.setattr("sys.platform", "linux")
    return_memory()
    assert calls == [0]
    monkeypatch.setattr("sys.platform", "win32")
    return_memory()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())  # as musl, which has no such function
    return_memory()
    assert calls == [0]


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\nflags\t\t: fpu\n", True),
        ("flags\t\t: fpu avx512f amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
        ("processor\t: 0\n", None),
    ],
)
def test_the_machine_says_whether_it_has_instructions_for_bfloat16(tmp_path, cpuinfo, expected):
    assert has_bfloat16(str(tmp_path)) is None
    write(tmp_path, {"proc/cpuinfo": cpuinfo})
    assert has_bfloat16(str(tmp_path)) is expected
