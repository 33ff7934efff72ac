"""The public archives behind one interface: which files of a science window each has, and where."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from typing import Protocol
from urllib.parse import unquote, urlencode, urljoin, urlsplit

from integral_oda.archive.download import PATIENT, AbsentError, Policy, get_text
from integral_oda.archive.requirements import NeededFile, needed_files
from integral_oda.archive.scw import ScwId
from integral_oda.errors import RequestError, UnavailableError

__all__ = ["MIRRORS", "Mirror", "RemoteFile", "TarMirror", "TreeMirror", "open_mirror", "open_tree"]

HEASARC = "https://heasarc.gsfc.nasa.gov/FTP/integral/data"
ISDC = "http://isdcarc.unige.ch/arc/rev_3"
ISDC_IC = "http://isdcarc.unige.ch/arc/FTP/arc_distr/ic_tree/prod"
ESA = "https://isla.esac.esa.int/tap/data"
MIRRORS = ("heasarc", "isdc", "esa")

_VERSIONS_TRIED = (2, 1, 0)
_PASSED_OVER = ("raw", "logs", "aca")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a public archive.

    Attributes
    ----------
    url : str
        Where it is.
    place : str
        Where it belongs below the root of an archive; of a tar, the folder of the science window.
    must : bool
        The window is of no use without it.
    members : tuple of str
        Of a tar: patterns of the files that are wanted of it; empty for a plain file.
    """

    url: str
    place: str
    must: bool = False
    members: tuple[str, ...] = ()


class Mirror(Protocol):
    """A public archive."""

    name: str

    def files(self, scw: ScwId, engine: str) -> list[RemoteFile]:
        """Files of a science window, its revolution and its auxiliary data that an engine's steps read.

        Raises
        ------
        UnavailableError
            If the archive cannot be reached or does not have the window.
        """


def open_mirror(name: str, policy: Policy = PATIENT) -> Mirror:
    """Give the archive of a name (``heasarc``, ``isdc``, ``esa``) or of the URL of a tree laid out as ISDC's.

    Raises
    ------
    RequestError
        If it is neither.
    """
    if name == "esa":
        return TarMirror(name, ESA)
    return open_tree(name, {"heasarc": HEASARC, "isdc": ISDC}, MIRRORS, policy)


def open_tree(name: str, trees: Mapping[str, str], known: Iterable[str], policy: Policy = PATIENT) -> TreeMirror:
    """Give the tree of a name or of its URL.

    Parameters
    ----------
    name : str
        One of ``trees``, or a URL.
    trees : mapping of str to str
        URL of each name.
    known : iterable of str
        Names that an error tells.
    policy : Policy
        How patient to be.

    Raises
    ------
    RequestError
        If it is neither.
    """
    if name.startswith(("http://", "https://")):
        return TreeMirror(name, name, policy)
    if name not in trees:
        raise RequestError("from", name, f"one of {', '.join(known)}, or the URL of a tree")
    return TreeMirror(name, trees[name], policy)


class TreeMirror:
    """An archive whose folders are listed over HTTP, laid out as ISDC's.

    Parameters
    ----------
    name : str
        What it is called in messages.
    base : str
        URL of the folder that holds ``scw/`` and ``aux/``.
    policy : Policy
        How patient to be.
    """

    def __init__(self, name: str, base: str, policy: Policy = PATIENT) -> None:
        self.name, self.base, self.policy = name, base.rstrip("/"), policy
        self.listing = cache(self._listing)

    def files(self, scw: ScwId, engine: str) -> list[RemoteFile]:
        """As `Mirror.files`."""
        revolution = f"scw/{scw.revolution:04d}"
        versions = tuple(dict.fromkeys((scw.version, *_VERSIONS_TRIED)))
        window = self._newest(revolution, scw.swid, versions)
        if window is None:
            raise AbsentError(f"{self.name} does not have the science window {scw}")
        found = list(self._wanted(window, needed_files(engine, "scw"), engine))
        if not any(file.must for file in found):
            raise AbsentError(f"{self.name} has no events of the science window {scw}")
        shared = self._newest(revolution, "rev", versions)
        if shared is not None:
            found += self._wanted(shared, needed_files(engine, "rev"), engine)
        auxiliary = self._newest("aux/adp", f"{scw.revolution:04d}", versions)
        if auxiliary is not None:
            found += self._wanted(auxiliary, needed_files(engine, "aux"), engine)
        return found

    def below(self, folder: str, patterns: Sequence[str]) -> list[RemoteFile]:
        """Files of a folder whose names fit one of the patterns."""
        return [
            RemoteFile(f"{self.base}/{folder}/{name}", f"{folder}/{name}")
            for name in self.listing(folder)
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ]

    def all_below(self, folder: str) -> list[RemoteFile]:
        """FITS files of a folder and of those in it."""
        found = self.below(folder, ("*.fits", "*.fits.gz"))
        for name in self.listing(folder):
            if name.endswith("/"):
                found += self.all_below(f"{folder}/{name.rstrip('/')}")
        return found

    def _newest(self, folder: str, stem: str, versions: Sequence[int]) -> str | None:
        names = set(self.listing(folder))
        return next((f"{folder}/{stem}.{v:03d}" for v in versions if f"{stem}.{v:03d}/" in names), None)

    def _wanted(self, folder: str, needs: Iterator[NeededFile], engine: str) -> Iterator[RemoteFile]:
        for needed in needs:
            inner, _, name = needed.name.rpartition("/")
            for place in self._folders(folder, inner):
                must = engine in needed.must
                for file in self.below(place, (name, f"{name}.gz")):
                    yield RemoteFile(file.url, file.place, must)

    def _folders(self, folder: str, inner: str) -> list[str]:
        if inner != "*":
            return [f"{folder}/{inner}" if inner else folder]
        names = [name.rstrip("/") for name in self.listing(folder) if name.endswith("/")]
        return [f"{folder}/{name}" for name in names if name not in _PASSED_OVER]

    def _listing(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, those of folders with a slash; nothing where there is no such folder."""
        url = f"{self.base}/{folder}/"
        try:
            return links(get_text(url, self.policy), url)
        except AbsentError:
            return ()


class TarMirror:
    """ESA's archive (ISLA), which gives a science window as one tar; it has no revolution files.

    Parameters
    ----------
    name : str
        What it is called in messages.
    url : str
        Its data server; the request is that of ``astroquery.esa.integral.download_science_windows``.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url

    def files(self, scw: ScwId, engine: str) -> list[RemoteFile]:
        """As `Mirror.files`: one tar, of which the needed files are taken."""
        needs = [needed.name for needed in needed_files(engine, "scw")]
        asked = urlencode({"RETRIEVAL_TYPE": "SCW", "scwid": scw.swid, "TAPCLIENT": "ASTROQUERY"})
        folder = f"scw/{scw.revolution:04d}/{scw}"
        members = (*needs, *(f"{name}.gz" for name in needs))
        return [RemoteFile(f"{self.url}?{asked}", folder, must=True, members=members)]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def links(page: str, url: str) -> tuple[str, ...]:
    """Names that the listing of a folder leads to, folders with a slash.

    Raises
    ------
    UnavailableError
        If the page lists no folder.
    """
    parser = _Links()
    parser.feed(page)
    here = urlsplit(url).path
    paths = [urlsplit(urljoin(url, link)) for link in parser.found if not link.startswith(("?", "#"))]
    names = [
        unquote(path.path.removeprefix(here)) for path in paths if path.path.startswith(here) and path.path != here
    ]
    if not parser.found:
        raise UnavailableError(f"{url}: this page lists no folder")
    return tuple(dict.fromkeys(name for name in names if name.rstrip("/").count("/") == 0 and ".." not in name))
