"""The command that looks at a data set: what it prints and writes, in this process."""

import html.parser
import json
import os
import subprocess
import sys

import pytest
from absl import flags
from PIL import Image

from simsiam_tf.cli import inspect
from tests.conftest import ROOT
from tests.inspection.pictures import picture, save


@pytest.fixture
def photos(tmp_path):
    """Pictures to train on and to evaluate on, of which one is both, beside files of every kind of name."""
    path = tmp_path / "photos"
    for i in range(4):
        save(picture(i), path / f"train/{i}.jpg")
        save(picture(10 + i), path / f"val/{i}.jpg")
    (path / "val/leak.jpg").write_bytes((path / "train/1.jpg").read_bytes())
    (path / "train/<script>alert(1)<").mkdir()
    Image.new("RGB", (200, 150), (1, 2, 3)).save(path / "train/<script>alert(1)<" / "script>.png")
    escapes = os.path.join(os.fsencode(path), b"train/\xff\x1b[31m.png")
    with open(escapes, "wb") as file:
        file.write(b"no image")
    (path / "notes.txt").write_text("x")
    return path


@pytest.fixture
def run(console, monkeypatch, photos):
    """Runs the command on the pictures; returns its exit code."""

    def run(*arguments, data=(f"--data_dir={photos}", "--dataset=folder", "--image_size=64")):
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())  # as in a new process
        monkeypatch.setattr(sys, "argv", ["inspect", *data, *map(str, arguments)])
        try:
            inspect.main()
        except SystemExit as stop:
            return stop.code
        return 0

    return run


def test_the_text_names_what_was_found_and_stdout_is_safe_for_a_terminal(run, capsys):
    assert run() == 0
    printed = capsys.readouterr()
    assert printed.out.isprintable() or set(filter(lambda c: not c.isprintable(), printed.out)) == {"\n"}
    for words in (
        "5 to evaluate on",
        "ending .txt, of no image that is read: 1\n    notes.txt",
        "width 150, 150, 200; height 100, 100, 150",
        "training, 8 bits:",
        "training: train/1.jpg = evaluation: val/leak.jpg",
        "train/\\udcff\\x1b[31m.png (no image of a kind that is read here)",
    ):
        assert words in printed.out
    assert printed.err.startswith(
        "warning: Images to evaluate on are equal to images of another split: training: train/1."
    )


def test_json_is_all_of_stdout_and_strict(run, capsys):
    assert run("--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert printed.out.isascii()
    assert "\\ud" not in printed.out  # half characters, which strict parsers refuse
    assert found["odd"]["cannot be read"][0]["name"] == "train/\\xff\x1b[31m.png"
    assert found["identical_between"] == [
        {
            "names": {"training": ["train/1.jpg"], "evaluation": ["val/leak.jpg"]},
            "classes": [],
            "one_file": False,
            "confirmed": True,
            "bits": 0,
        }
    ]
    assert found["left_out"] == {".txt": ["notes.txt"]}
    assert printed.err.startswith("Looking for the images below ")
    assert "Reading the headers" in printed.err
    assert "warning: Images to evaluate on" in printed.err


class Page(html.parser.HTMLParser):
    """Collects the tags of a page, and everything that they refer to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_the_page_escapes_names_and_asks_no_other_host(run, photos, tmp_path):
    out = tmp_path / "new" / "out"
    assert run(f"--out={out}") == 0
    assert sorted(path.name for path in out.iterdir()) == ["inspect.html", "inspect.json", "inspect.txt", "odd.png"]
    text = (out / "inspect.html").read_text("utf-8")
    page = Page(text)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert page.references
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert "url(" not in text
    assert "@import" not in text
    assert "train/&lt;script&gt;alert(1)&lt;/script&gt;.png" in text
    assert "train/\\udcff\\x1b[31m.png" in text
    assert "\x1b" not in text
    assert "train/1.jpg = evaluation: val/leak.jpg" in text
    assert "notes.txt" in text
    assert json.loads((out / "inspect.json").read_text())["splits"][0]["images"] == 6
    with Image.open(out / "odd.png") as sheet:
        assert sheet.width > 144


def test_the_last_line_says_what_was_written(run, tmp_path, capsys):
    assert run(f"--out={tmp_path / 'out'}", "--verbosity=quiet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"Wrote inspect.html, inspect.json, inspect.txt, odd.png into {tmp_path / 'out'}."


def test_the_contact_sheet_shows_the_odd_images(run, tmp_path):
    assert run(f"--out={tmp_path / 'out'}") == 0
    with Image.open(tmp_path / "out/odd.png") as sheet:
        assert (1, 2, 3) in {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}


def test_pictures_are_not_written_among_the_images(run, photos, tmp_path, capsys):
    (tmp_path / "link").symlink_to(photos)
    for out in (photos / "out", tmp_path / "link/train/out"):
        assert run(f"--out={out}") == 2
        assert "--out must not be below --data_dir" in capsys.readouterr().err
    assert not (photos / "out").exists()
    assert run(f"--out={tmp_path / 'photos2'}") == 0


def test_nothing_is_overwritten(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    assert run(f"--out={tmp_path / 'out'}") == 2
    assert "is not overwritten" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data_dir=/nowhere/at/all"], "--data_dir must be an existing folder of images."),
        (["--near_bits=13"], "--near_bits must be at most 12."),
        (["--eval_split=nothing"], "There is no folder nothing of images"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(run, capsys, arguments, words):
    assert run(*arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {words}")
    assert printed.count("\n") == 1


def test_names_are_limited_in_print_only(run, capsys, tmp_path, photos):
    for i in range(30):
        (photos / f"{i}.txt").write_text("x")
    assert run("--max_names=5", f"--out={tmp_path / 'out'}") == 0
    printed = capsys.readouterr().out
    assert "and 26 more (--max_names=0 prints all)" in printed
    assert "29.txt" not in printed
    assert "29.txt" in (tmp_path / "out/inspect.txt").read_text()
    assert "29.txt" in (tmp_path / "out/inspect.html").read_text()
    assert run("--max_names=0") == 0
    assert "29.txt" in capsys.readouterr().out


def test_a_folder_needs_no_tensorflow(photos):
    code = (
        "import runpy, sys; "
        "runpy.run_module('simsiam_tf.cli.inspect', run_name='__main__', alter_sys=True); "
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "--dataset=folder", f"--data_dir={photos}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
