"""Write the addresses of README.md and CITATION.cff anew, from the repository's address in pyproject.toml.

The address stands in one place, ``[project.urls]`` of pyproject.toml; Binder's buttons are pinned to the tag of the
version. ``make badges`` runs this, and a test holds the files in step.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import quote, urlsplit

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = "voila/render/notebooks/apps/explorer.ipynb"
TUTORIAL = "lab/tree/notebooks/tutorials/1_first_image.ipynb"
HOSTS = {"github.com": "gh", "gitlab.com": "gl"}
_BADGES = re.compile(r"(<!-- badges -->\n).*?(\n<!-- /badges -->)", re.DOTALL)
_CITED = re.compile(r"^(repository-code|version): .*$", re.MULTILINE)


def repository() -> str:
    """Address of the repository, from pyproject.toml."""
    with (CHECKOUT / "pyproject.toml").open("rb") as stream:
        return str(tomllib.load(stream)["project"]["urls"]["Repository"])


def version() -> str:
    """Version of the package."""
    text = (CHECKOUT / "backend" / "integral_oda" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def binder_address(address: str, tag: str, path: str) -> str:
    """Address at which Binder builds a tag of a repository and opens a path of its server.

    Raises
    ------
    ValueError
        If the repository lies where Binder's short form does not reach.
    """
    parts = urlsplit(address)
    if parts.netloc not in HOSTS:
        raise ValueError(f"{address}: Binder's short form knows {', '.join(HOSTS)}")
    slug = parts.path.strip("/").removesuffix(".git")
    slug = quote(slug, safe="") if HOSTS[parts.netloc] == "gl" else slug
    return f"https://mybinder.org/v2/{HOSTS[parts.netloc]}/{slug}/{tag}?urlpath={quote(path, safe='')}"


def badges(address: str, tag: str) -> str:
    """The two buttons, as Markdown."""
    badge = "https://img.shields.io/badge/Binder-{}-579aca"
    buttons = (("the%20page", "Open the page on Binder", PAGE), ("JupyterLab", "Open JupyterLab on Binder", TUTORIAL))
    return "\n".join(
        f"[![{text}]({badge.format(label)})]({binder_address(address, tag, path)})" for label, text, path in buttons
    )


def renewed(name: str, text: str, address: str, release: str) -> str:
    """Text of README.md or CITATION.cff with the addresses as they should be."""
    if name == "README.md":
        return _BADGES.sub(lambda found: found[1] + badges(address, f"v{release}") + found[2], text)
    values = {"repository-code": address, "version": release}
    return _CITED.sub(lambda found: f"{found[1]}: {values[found[1]]}", text)


def main() -> None:
    """Write both files."""
    for name in ("README.md", "CITATION.cff"):
        path = CHECKOUT / name
        path.write_text(renewed(name, path.read_text(encoding="utf-8"), repository(), version()), encoding="utf-8")


if __name__ == "__main__":
    main()
