"""Checks a checkout, builds its release into dist/, and says what remains to be done by hand: `make release`."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from release.agreement import NOT_SET, date_of, disagreements, version_of
from release.wheel import wheel_faults

ROOT = pathlib.Path(__file__).resolve().parents[1]


class ReleaseError(Exception):
    """Says why there is no release, in full sentences."""


def main() -> int:
    """Returns the exit code: 0 if dist/ holds a release that passed every check."""
    try:
        version = checked_version(ROOT)
        for file in build(ROOT, version):
            print(f"{file.stat().st_size:>10} bytes  {file.relative_to(ROOT)}")
    except (ReleaseError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print((ROOT / "dist" / "SHA256SUMS").read_text(encoding="utf-8"), end="")
    print(f"\nsimsiam_tf {version} is built and checked. Nothing is published. What remains to be done by hand:")
    for number, sentence in enumerate(what_remains(version, date_of(ROOT)), start=1):
        print(f"{number}. {sentence}")
    return 0


def checked_version(root: pathlib.Path) -> str:
    """Returns the version of a checkout after checking that it may be released.

    Args:
        root: the folder of the checkout.

    Raises:
        ReleaseError: if the tree holds changes, or if the places that name the version disagree.
    """
    changed = _run(root, ["git", "status", "--porcelain"]).splitlines()
    problems = disagreements(root)
    if changed:
        problems.insert(0, f"All changes must be committed first. Received: {len(changed)}, such as {changed[0]!r}.")
    if problems:
        raise ReleaseError("\n       ".join(problems))
    return version_of(root)


def build(root: pathlib.Path, version: str) -> list[pathlib.Path]:
    """Builds the sdist and the wheel, checks them, and puts them and their SHA256SUMS into dist/.

    Nothing reaches dist/ unless every check passes.

    Args:
        root: the folder of the checkout.
        version: the version of the checkout.

    Returns:
        The paths of the sdist and the wheel.

    Raises:
        ReleaseError: if a build or a check fails.
    """
    with tempfile.TemporaryDirectory() as draft:
        _run(root, [sys.executable, "-m", "build", "--outdir", draft, "."])
        files = sorted(pathlib.Path(draft).iterdir())
        wheels = [file for file in files if file.suffix == ".whl"]
        if len(files) != 2 or len(wheels) != 1:
            raise ReleaseError(f"A build must give an sdist and a wheel. Received: {[file.name for file in files]}.")
        _run(root, [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)])
        if problems := wheel_faults(wheels[0], root, version):
            raise ReleaseError(" ".join(problems))
        (root / "dist").mkdir(exist_ok=True)
        built = [pathlib.Path(shutil.copy2(file, root / "dist" / file.name)) for file in files]
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in built]
    (root / "dist" / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return built


def what_remains(version: str, date: str) -> list[str]:
    """Returns what a person has to do for a release, in order, a sentence or two for each step.

    Args:
        version: the version.
        date: the date of the release, or `date not set`.
    """
    again = "commit, and run `make release` again."
    steps = []
    if date == NOT_SET:
        steps.append(
            f"Replace '{NOT_SET}' in CHANGELOG.md by the day, and add the line 'date-released: YYYY-MM-DD' to "
            f"CITATION.cff; {again}"
        )
    steps += [
        f"If SECURITY.md says that there are no releases yet, change its 'Supported versions'; {again}",
        "If the repository is public by now, add its address to [project.urls] in pyproject.toml, and to CITATION.cff "
        f"as 'repository-code'; {again}",
        "Run `make test-all`, `make test-wheel`, and the checks that CONTRIBUTING.md lists as 'before a release'.",
        f"Tag the commit: `git tag -a v{version} -m 'simsiam_tf {version}'`, and push the tag.",
        "Make sure that the name simsiam-tf in the package index is yours or free.",
        f"Upload: `twine upload dist/simsiam_tf-{version}*`. A version that was uploaded cannot be replaced.",
        f"Install it into an empty environment, `pip install simsiam-tf=={version}`, and run `simsiam-doctor`.",
    ]
    return steps


def _run(root: pathlib.Path, command: list[str]) -> str:
    """Returns the output of a command that has to succeed, and that uses the packages of this environment."""
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    environment.pop("PYTHONPATH", None)  # `build` must be the package, not the folder of that name
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(
            f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
