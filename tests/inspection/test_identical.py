"""Equal files: found whatever they are called, and never by their size or their end alone."""

import os

import numpy as np
import pytest

from simsiam_tf.inspection import identical as module
from simsiam_tf.inspection.headers import TAIL, digest_of
from simsiam_tf.inspection.identical import equal_digests, equal_files, numbered

END = bytes(range(256)) * (TAIL // 256)


@pytest.fixture
def compare(tmp_path):
    """Writes files and compares them; gives the groups of equal ones, and all that was found."""

    def compare(*contents, links=(), most_bytes=1 << 30):
        paths = []
        for number, content in enumerate(contents):
            paths.append(tmp_path / f"{number}")
            paths[-1].write_bytes(content)
        for number in links:
            os.link(paths[number], tmp_path / f"link{number}")
            paths.append(tmp_path / f"link{number}")
        states = [os.stat(path) for path in paths]
        found = equal_files(
            np.array([state.st_size for state in states]),
            np.array([(state.st_dev, state.st_ino) for state in states], np.uint64),
            np.stack([digest_of(path.read_bytes()[-TAIL:]) for path in paths]),
            lambda i: str(paths[i]),
            most_bytes,
        )
        return [group.tolist() for group in found.groups()], found

    return compare


def test_equal_bytes_are_found_and_others_not(compare):
    long = b"x" * 9000
    contents = [b"a" + long + END, b"b" + long + END, b"a" + long + END, b"short", b"other", b"short", long]
    groups, found = compare(*contents)
    assert sorted(groups) == [[0, 2], [3, 5]]
    assert found.bytes_read == 3 * (9001 + TAIL)  # neither the short ones nor the one of another end
    assert not any(found.is_one_file(np.array(group)) for group in groups)


def test_empty_files_are_not_compared(compare):
    assert compare(b"", b"")[0] == []


def test_two_names_of_one_file_are_said_and_not_read(compare):
    groups, found = compare(b"a" * 9000, b"b" * 9000, links=[0])
    assert groups == [[0, 2]]
    assert found.is_one_file(np.array([0, 2]))
    assert found.bytes_read == 0
    groups, found = compare(b"a" * 9000, b"a" * 9000)
    assert groups == [[0, 1]]
    assert not found.is_one_file(np.array([0, 1]))


def test_what_is_beyond_the_limit_is_unconfirmed(compare):
    small, large = b"s" * 5000, b"l" * 50_000
    groups, found = compare(b"1" + small, b"1" + small, b"1" + large, b"2" + large, most_bytes=20_000)
    assert sorted(groups) == [[0, 1], [2, 3]]
    assert found.bytes_read == 2 * 5001
    assert found.unconfirmed == {found.content[2]}
    assert found.content[2] == found.content[3] != found.content[0]


def test_a_file_that_vanished_is_equal_to_none(compare, monkeypatch):
    monkeypatch.setattr(module, "_digest", lambda path: None)
    assert compare(b"a" * 9000, b"a" * 9000)[0] == []


def test_pixels_are_compared_where_they_are_known():
    digests = np.array([[1, 2], [1, 2], [1, 3], [1, 2]], np.uint64)
    found = equal_digests(digests, np.array([True, True, True, False]))
    assert [group.tolist() for group in found.groups()] == [[0, 1]]
    assert found.content[3] == -1


def test_equal_rows_get_equal_numbers(rng):
    columns = rng.integers(0, 3, (2, 50))
    numbers = numbered(*columns)
    for i in range(50):
        assert ((columns[:, i] == columns.T).all(axis=1) == (numbers == numbers[i])).all()
