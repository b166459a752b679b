"""The rooms, files and functions that docs/tour.md and the other pages name are those of the code."""

import ast
import itertools
import re
import tomllib

import pytest

from tests.conftest import ROOT

TOUR = (ROOT / "docs" / "tour.md").read_text()
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/adding/*.md")])
# `<!-- code: FILE NAME -->`, which the site's build replaces by the source of NAME.
SHOWN = [
    (page.name, *match)
    for page in PAGES
    for match in re.findall(r"^<!-- code: (\S+) (\S+) -->$", page.read_text(), re.M)
]


def layers() -> list[set[str]]:
    """Returns the rooms of each layer of the import-linter's contract, highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rooms,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [set(layer.split(" | ")) for layer in rooms]


def arrows() -> set[tuple[str, str]]:
    """Returns each arrow of the picture, from a room to one below it."""
    (picture,) = re.findall(r"```mermaid\nflowchart TD\n(.*?)```", TOUR, re.S)
    found = set()
    for line in picture.splitlines():
        stations = [station.split(" & ") for station in line.strip().split(" --> ")]
        found |= {(a, b) for above, below in itertools.pairwise(stations) for a in above for b in below}
    return found


def definition(file: str, name: str) -> ast.AST | None:
    """Returns what a dotted name in a file stands for: a function, a class, or a method of a class."""
    node: ast.AST | None = ast.parse((ROOT / file).read_text())
    for part in name.split("."):
        kinds = ast.FunctionDef | ast.ClassDef
        body = getattr(node, "body", [])
        node = next((child for child in body if isinstance(child, kinds) and child.name == part), None)
    return node


def test_the_arrows_are_the_layers_of_the_import_linter():
    rooms = layers()
    assert arrows() == {(a, b) for above, below in itertools.pairwise(rooms) for a in above for b in below}


def test_every_room_is_explained_in_the_order_of_the_layers():
    explained = re.findall(r"^\| `(\w+)` \| ", TOUR, re.M)
    assert set(explained) == set.union(*layers())
    place = {room: i for i, layer in enumerate(layers()) for room in layer}
    assert [place[room] for room in explained] == sorted(place.values())


def test_the_tour_has_ten_steps():
    assert [int(number) for number in re.findall(r"^\| (\d+) \| ", TOUR, re.M)] == list(range(1, 11))


STEPS = re.findall(r"`(simsiam_tf/[\w/]+\.py)` \| `([\w.]+)` \|", TOUR)
IN_TEXT = [(file, name) for name, file in re.findall(r"`([\w.]+)` (?:in|of)\s+`(simsiam_tf/[\w/]+\.py)`", TOUR)]


@pytest.mark.parametrize(("file", "name"), [*STEPS, *IN_TEXT])
def test_what_the_tour_names_is_there(file, name):
    assert definition(file, name), f"{file} has no {name}"


def test_files_that_the_tour_names_are_there():
    assert len(STEPS) == 10
    assert len(IN_TEXT) == 3
    for path in re.findall(r"`((?:simsiam_tf|tests)/[\w/.]+)`", TOUR):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(("page", "file", "name"), SHOWN)
def test_code_that_a_page_shows_is_there(page, file, name):
    assert definition(file, name), f"{page}: {file} has no {name}"


def test_each_method_shows_its_loss_and_its_class():
    shown = {file for page, file, _ in SHOWN if page == "methods.md"}
    for method in ("simsiam", "simclr", "mocov2", "byol", "swav", "barlow_twins"):
        assert {f"simsiam_tf/losses/{method}.py", f"simsiam_tf/methods/{method}.py"} <= shown, method


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for path, anchor in re.findall(r"\]\(([^)#\s:]*)(?:#([^)\s]+))?\)", text):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert anchor in [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings], (
                f"{path}#{anchor}"
            )
