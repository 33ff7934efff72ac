"""The local archive: a tree of science windows laid out as ISDC's REP_BASE_PROD."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from integral_oda.archive.events import read_events
from integral_oda.archive.fits_table import read_hdus
from integral_oda.archive.scw import ScwId
from integral_oda.errors import DataError, RequestError

__all__ = ["EVENTS_FILE", "Archive"]

EVENTS_FILE = "isgri_events.fits"

_VERSIONS_TRIED = (2, 1, 0)


class Archive:
    """Science windows under one root folder.

    A window is looked up in the version asked for, then in 002, 001 and 000; every file may be gzipped.

    Parameters
    ----------
    root : str or Path
        The folder that holds ``scw/``. It need not exist yet.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def folder(self, scw: ScwId | str) -> Path:
        """Folder of a science window.

        Raises
        ------
        DataError
            If the archive does not have the window in any version.
        """
        for folder in self._folders(_scw(scw)):
            return folder
        raise self._absent(_scw(scw))

    def find(self, scw: ScwId | str, name: str) -> Path | None:
        """File of a science window, plain or gzipped, or None.

        Parameters
        ----------
        scw : ScwId or str
            The science window.
        name : str
            File name without ``.gz``, such as ``"isgri_dead.fits"``.
        """
        for folder in self._folders(_scw(scw)):
            for path in (folder / name, folder / f"{name}.gz"):
                if path.is_file():
                    return path
        return None

    def events_file(self, scw: ScwId | str) -> Path:
        """Event file of a science window.

        Raises
        ------
        DataError
            If the archive does not have the window, or the window has no event file.
        """
        path = self.find(scw, EVENTS_FILE)
        if path is None:
            raise DataError(f"{self.folder(scw)}: no {EVENTS_FILE} or {EVENTS_FILE}.gz")
        return path

    def windows(self) -> list[ScwId]:
        """Science windows of the archive in order, each in its highest version."""
        newest = {scw.swid: scw for scw in sorted(self._all_windows())}
        return sorted(newest.values())

    def verify(self) -> dict[ScwId, list[str]]:
        """Read every science window and say what is missing or damaged.

        Returns
        -------
        dict of ScwId to list of str
            One entry a window, in order; an empty list for a whole one.
        """
        return {scw: self._problems(scw) for scw in sorted(self._all_windows())}

    def _problems(self, scw: ScwId) -> list[str]:
        problems = []
        folder = self._path(scw)
        files = sorted([*folder.glob("*.fits"), *folder.glob("*.fits.gz")])
        if not any(path.name.removesuffix(".gz") == EVENTS_FILE for path in files):
            problems.append(f"{folder}: no {EVENTS_FILE} or {EVENTS_FILE}.gz")
        for path in files:
            try:
                if path.name.removesuffix(".gz") != EVENTS_FILE:
                    read_hdus(path)
                elif (swid := read_events(path).header.get("SWID", scw.swid)) != scw.swid:
                    problems.append(f"{path}: holds science window {swid}")
            except DataError as exc:
                problems.append(str(exc))
        return problems

    def _all_windows(self) -> Iterator[ScwId]:
        for folder in self.root.glob("scw/[0-9][0-9][0-9][0-9]/*.*"):
            try:
                scw = ScwId.parse(folder.name)
            except RequestError:
                continue
            if self._path(scw) == folder and folder.is_dir():
                yield scw

    def _folders(self, scw: ScwId) -> Iterator[Path]:
        for version in dict.fromkeys((scw.version, *_VERSIONS_TRIED)):
            folder = self._path(scw.with_version(version))
            if folder.is_dir():
                yield folder

    def _path(self, scw: ScwId) -> Path:
        return self.root / "scw" / f"{scw.revolution:04d}" / str(scw)

    def _absent(self, scw: ScwId) -> DataError:
        return DataError(
            f"science window {scw} is not in the archive {self.root}: `integral-oda archive list` says what is, "
            "`integral-oda archive sample` fetches the real sample 255900280010.001"
        )


def _scw(scw: ScwId | str) -> ScwId:
    return scw if isinstance(scw, ScwId) else ScwId.parse(scw)
