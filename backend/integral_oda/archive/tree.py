"""The local archive: a tree of science windows laid out as ISDC's REP_BASE_PROD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from integral_oda.archive.events import read_events
from integral_oda.archive.fits_table import read_hdus
from integral_oda.archive.requirements import ENGINES, EVENTS_FILE, GROUP_FILE, NeededFile, needed_files, step_of
from integral_oda.archive.scw import ScwId
from integral_oda.errors import DataError, RequestError

__all__ = ["EVENTS_FILE", "GROUP_FILE", "Archive"]

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
        return _found(self._folders(_scw(scw)), name)

    def find_revolution_file(self, scw: ScwId | str, name: str) -> Path | None:
        """File of a science window's revolution, ``scw/RRRR/rev.VVV/NAME``, plain or gzipped, or None.

        The version is the window's if the revolution has it there, else 002, 001 or 000.
        """
        scw = _scw(scw)
        return _found((self.root / f"scw/{scw.revolution:04d}/rev.{v:03d}" for v in _versions(scw)), name)

    def find_auxiliary_file(self, scw: ScwId | str, name: str) -> Path | None:
        """File of a revolution's auxiliary data, ``aux/adp/RRRR.VVV/NAME``, plain or gzipped, or None."""
        scw = _scw(scw)
        return _found((self.root / f"aux/adp/{scw.revolution:04d}.{v:03d}" for v in _versions(scw)), name)

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

    def verify(self, engine: str = "native") -> dict[ScwId, list[str]]:
        """Read every science window and say what is missing or damaged, and for which steps.

        Parameters
        ----------
        engine : str
            ``"native"`` or ``"osa"``: whose steps nothing may be missing for.

        Returns
        -------
        dict of ScwId to list of str
            One entry a window, in order; an empty list for a whole one.

        Raises
        ------
        RequestError
            If there is no such engine.
        """
        if engine not in ENGINES:
            raise RequestError("engine", engine, " or ".join(ENGINES))
        return {scw: self.problems_of(scw, engine) for scw in sorted(self._all_windows())}

    def verify_shared(self) -> list[str]:
        """Read the files that windows share (revolutions, auxiliary data, IC tree, catalogues): what is damaged."""
        folders = ("scw/[0-9][0-9][0-9][0-9]/rev.[0-9][0-9][0-9]", "aux", "ic", "idx", "cat")
        problems = []
        for folder in sorted(match for pattern in folders for match in self.root.glob(pattern)):
            for path in _fits_files(folder, "**/"):
                below = path.relative_to(folder).as_posix()
                place = "rev" if folder.name.startswith("rev.") else "aux"
                steps = step_of(place, below if place == "rev" else path.name)
                problems += _damage(path, steps)
        return problems

    def problems_of(self, scw: ScwId, engine: str = "native") -> list[str]:
        """Say what is missing or damaged of one science window, as `verify`."""
        needs = [needed for place in ("scw", "rev", "aux") for needed in needed_files(engine, place)]
        problems = [
            self._missing(scw, needed) for needed in needs if engine in needed.must and not self._has(scw, needed)
        ]
        for path in _fits_files(self._path(scw)):
            steps = step_of("scw", path.name)
            if path.name.removesuffix(".gz") != EVENTS_FILE:
                problems += _damage(path, steps)
                continue
            try:
                if (swid := read_events(path).header.get("SWID", scw.swid)) != scw.swid:
                    problems.append(f"{path}: holds science window {swid}{_for(steps)}")
            except DataError as exc:
                problems.append(f"{exc}{_for(steps)}")
        return problems

    def _has(self, scw: ScwId, needed: NeededFile) -> bool:
        if needed.place == "scw":
            return _found([self._path(scw)], needed.name) is not None
        find = self.find_revolution_file if needed.place == "rev" else self.find_auxiliary_file
        return find(scw, needed.name) is not None

    def _missing(self, scw: ScwId, needed: NeededFile) -> str:
        where = {"scw": self._path(scw), "rev": f"revolution {scw.revolution:04d}",
                 "aux": f"auxiliary data of revolution {scw.revolution:04d}"}[needed.place]  # fmt: skip
        return f"{where}: no {needed.name} or {needed.name}.gz{_for(', '.join(needed.steps))}"

    def _all_windows(self) -> Iterator[ScwId]:
        for folder in self.root.glob("scw/[0-9][0-9][0-9][0-9]/*.*"):
            try:
                scw = ScwId.parse(folder.name)
            except RequestError:
                continue
            if self._path(scw) == folder and folder.is_dir():
                yield scw

    def _folders(self, scw: ScwId) -> Iterator[Path]:
        for version in _versions(scw):
            folder = self._path(scw.with_version(version))
            if folder.is_dir():
                yield folder

    def _path(self, scw: ScwId) -> Path:
        return self.root / "scw" / f"{scw.revolution:04d}" / str(scw)

    def _absent(self, scw: ScwId) -> DataError:
        return DataError(
            f"science window {scw} is not in the archive {self.root}: `integral-oda archive list` says what is, "
            "`integral-oda archive fetch` fetches it, `integral-oda archive sample` the real sample 255900280010.001"
        )


def _scw(scw: ScwId | str) -> ScwId:
    return scw if isinstance(scw, ScwId) else ScwId.parse(scw)


def _versions(scw: ScwId) -> tuple[int, ...]:
    return tuple(dict.fromkeys((scw.version, *_VERSIONS_TRIED)))


def _found(folders: Iterable[Path], name: str) -> Path | None:
    for folder in folders:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def _fits_files(folder: Path, below: str = "") -> list[Path]:
    return sorted([*folder.glob(f"{below}*.fits"), *folder.glob(f"{below}*.fits.gz")])


def _damage(path: Path, steps: str) -> list[str]:
    try:
        read_hdus(path)
    except DataError as exc:
        return [f"{exc}{_for(steps)}"]
    return []


def _for(steps: str) -> str:
    return f" (needed by {steps})" if steps else ""
