"""Says where things are: the repository, its address if it has one, and the files that become pages of the site."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"

# Files of the repository outside docs/ that are pages of the site too, and the names that they have there.
PAGES_OUTSIDE_DOCS = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "launch/README.md": "launch.md",
    "flags/recipes/README.md": "recipes/index.md",
} | {
    str(path.relative_to(ROOT)): f"rooms/{'_'.join(path.relative_to(ROOT).parts[1:-1])}.md"
    for path in sorted((ROOT / "simsiam_tf").rglob("README.md"))
}


def page_of(path: str) -> str | None:
    """Returns the name that a file of the repository has as a page or picture of the site; `None` if it has none.

    A folder stands for its README.md, and in docs/ for the list of its pages.

    Args:
        path: the file or folder, relative to the top of the repository.
    """
    is_folder = (ROOT / path).is_dir()
    if path.startswith("docs/"):
        return path.removeprefix("docs/") + ("/index.md" if is_folder else "")
    return PAGES_OUTSIDE_DOCS.get(f"{path}/README.md" if is_folder else path)


def file_of(page: str) -> str:
    """Returns the file of the repository that a page of the site is made from, relative to the top."""
    return {name: path for path, name in PAGES_OUTSIDE_DOCS.items()}.get(page, f"docs/{page}")


def repository_address(pyproject: pathlib.Path = ROOT / "pyproject.toml") -> str | None:
    """Returns the address under which the repository is published: `Repository` of [project.urls], if there is one."""
    address = tomllib.loads(pyproject.read_text())["project"].get("urls", {}).get("Repository")
    return address.rstrip("/") if address else None
