"""The Dockerfiles: linted by hadolint, alike for both devices, and given all that an installation reads."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FILES = [*sorted((ROOT / "docker").glob("*.Dockerfile")), ROOT / ".devcontainer" / "Dockerfile"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_hadolint_finds_nothing(file):
    checker = pathlib.Path(sys.executable).with_name("hadolint")
    if not checker.exists():
        pytest.skip("hadolint is not installed; requirements-dev.txt brings it where PyPI has a build of it")
    done = subprocess.run([checker, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_the_user_is_not_root_and_the_base_has_a_tag(file):
    text = file.read_text()
    assert re.findall(r"^FROM (.*)$", text, re.M) == ["python:3.12-slim"]
    assert re.findall(r"^USER (.*)$", text, re.M) == ["1000"]
    assert "ENTRYPOINT" not in text


def test_both_devices_have_the_same_lines_but_for_the_extra():
    cpu, gpu = (
        [line for line in (ROOT / "docker" / f"{name}.Dockerfile").read_text().splitlines() if line[:1] not in "#"]
        for name in ("cpu", "gpu")
    )
    gpu = [line.replace(" requirements-gpu.txt", "").replace("requirements-gpu", "requirements") for line in gpu]
    gpu = [line.replace('"/src[gpu]"', "/src") for line in gpu if "NVIDIA" not in line]
    assert gpu == cpu


def test_the_context_holds_what_an_installation_reads():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"simsiam_tf", "flags/recipes", "LICENSE", "README.md", "pyproject.toml", "setup.py"} <= kept
    assert "requirements*.txt" in kept
    assert all(list(ROOT.glob(pattern)) for pattern in kept)


def test_the_development_container_reads_as_json():
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert settings["postCreateCommand"] == "make install"
    assert settings["build"]["dockerfile"] == "Dockerfile"
