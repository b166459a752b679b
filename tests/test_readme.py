"""What the README shows runs."""

import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_library_example_runs_in_under_twenty_lines():
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "model.fit" in block)
    assert len(code.strip().splitlines()) < 20
    names: dict = {}
    exec(code, names)
    assert names["features"].shape == (8, 128)


def test_every_file_it_links_to_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
