"""One step's working directory, and the executables that run in it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integral_oda.engines.osa.containers import stop_command
from integral_oda.engines.osa.failures import (
    MissingOutputError,
    OsaCrashError,
    OsaStatusError,
    OsaTimeoutError,
    find_failure,
)
from integral_oda.engines.osa.installation import Installation
from integral_oda.engines.osa.table import EXECUTABLES, command_arguments
from integral_oda.errors import OutputError, RequestError, UnavailableError

__all__ = ["LOG_FILE", "OsaFiles", "Workspace"]

LOG_FILE = "osa.log"
_ENDING = r"Task\s+{name}\s+terminating with status\s+(-?\d+)"


@dataclass(frozen=True, eq=False)
class OsaFiles:
    """Files that a step of OSA has written.

    Attributes
    ----------
    folder : Path
        Where they lie.
    names : tuple of str
        The log is one of them.
    """

    folder: Path
    names: tuple[str, ...]
    held: object = field(default=None, repr=False)
    """Keeps a working directory as long as its files are in use."""

    def path(self, name: str) -> Path:
        """One of the files."""
        return self.folder / name

    def copy_to(self, folder: Path) -> None:
        """Copy the files into a folder."""
        for name in self.names:
            shutil.copyfile(self.folder / name, folder / name)

    @classmethod
    def read(cls, folder: Path) -> OsaFiles:
        """Files that `copy_to` has put into a folder."""
        names = sorted(p.name for p in folder.iterdir() if p.suffix == ".fits" or p.name == LOG_FILE)
        return cls(folder, tuple(names))


class Workspace:
    """A working directory of its own: parameter files, log and home of one step, gone when nobody needs its files.

    Parameters
    ----------
    installation : Installation
    archive : Path
        Root of the science windows, ``REP_BASE_PROD`` to the executables.
    given : mapping, optional
        Parameters that the user sets, by executable.
    """

    def __init__(
        self, installation: Installation, archive: Path, given: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.installation, self.archive, self.given = installation, archive, given or {}
        try:
            installation.work_root.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix="integral-oda-osa-", dir=installation.work_root))
            for name in ("pfiles", "home", "in"):
                (self.folder / name).mkdir()
        except OSError as exc:
            raise OutputError(f"{installation.work_root}: no working directory can be made ({exc.strerror})") from exc
        self._gone = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._begun = time.monotonic()
        self.log = self.folder / LOG_FILE
        self.log.touch()

    def place(self, path: Path, name: str | None = None) -> str:
        """Copy a file into the working directory, unpacked; gives its name there.

        The executables edit some of their inputs in place, and what lies in the store may have ``[`` in its path.
        """
        target = self.folder / (name or path.name.removesuffix(".gz"))
        if path.suffix == ".gz":
            import gzip

            with gzip.open(path) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        else:
            shutil.copyfile(path, target)
            target.chmod(0o644)
        return target.name

    def seen(self, path: str | Path) -> str:
        """How the executables name a file; a raw one whose path has ``[`` or ``]`` is reached by a link without."""
        file, extension = _split_extension(str(path))
        if file.startswith(f"{self.folder}/"):
            return file.removeprefix(f"{self.folder}/") + extension
        if not set("[]") & set(file):
            return self.installation.seen(file, self.archive) + extension
        if self.installation.container is not None:
            raise RequestError("archive", self.archive, "a folder without [ and ] in its path, for OSA in a container")
        link = self.folder / "in" / f"{len(list((self.folder / 'in').iterdir()))}-{Path(file).name}"
        link.symlink_to(Path(file).absolute())
        return str(link.relative_to(self.folder)) + extension

    def run(self, executable: str, outputs: Sequence[str] = (), folder: str = ".", **values: Any) -> str:
        """Run one executable and check how it ended.

        Parameters
        ----------
        executable : str
            Name in the table.
        outputs : sequence of str
            Files, relative to ``folder``, that must be there afterwards.
        folder : str
            Folder below the working directory that it runs in.
        **values
            Parameters.

        Returns
        -------
        str
            What it wrote.

        Raises
        ------
        OsaDataError
            A known failure, another status than 0, or status 0 without the outputs.
        OsaCrashError, OsaTimeoutError
            If it ended without a status, or not in time.
        """
        version = self.installation.version
        arguments = command_arguments(executable, {**values, **self.given.get(executable, {})}, version)
        for name in outputs:
            self._clear(folder, name)
        written, code = self._execute(executable, arguments, folder)
        status = self._status(executable, written, code)
        absent = [name for name in outputs if not (self.folder / folder / name).is_file()]
        failure = find_failure(executable, written, status, missing=bool(absent))
        if failure is not None and (status != 0 or absent or failure.at_status_0):
            raise failure.error(f"{executable}: {failure.meaning}; {failure.advice}{_quoted_end(written, status)}")
        if status is None:
            raise OsaCrashError(f"{executable} ended without a status (exit {code}){_quoted_end(written, status)}")
        if status != 0:
            raise OsaStatusError(f"{executable} ended with status {status}{_quoted_end(written, status)}")
        if absent:
            raise MissingOutputError(f"{executable} ended with status 0 and wrote no {', '.join(absent)}")
        return written

    def _clear(self, folder: str, name: str) -> None:
        """Remove what an output would stumble over."""
        for stale in (name, f"{name}.gz"):
            (self.folder / folder / stale).unlink(missing_ok=True)

    def _execute(self, executable: str, arguments: list[str], folder: str) -> tuple[str, int]:
        line, environment = self.installation.command(self.folder, self.archive, [executable, *arguments], folder)
        try:
            process = subprocess.Popen(
                line, cwd=self.folder / folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as exc:
            raise UnavailableError(f"{line[0]} cannot be run ({exc.strerror}); see `integral-oda osa check`") from exc
        try:
            output, _ = process.communicate(timeout=self._time_left(executable))
        except subprocess.TimeoutExpired:
            output = self._kill(process)
            self._note(executable, arguments, output)
            limit = self._limit(executable)
            raise OsaTimeoutError(f"{executable} was stopped: the step took longer than {limit:g} s") from None
        except BaseException:
            self._kill(process)
            raise
        written = output.decode("utf-8", errors="replace")
        self._note(executable, arguments, output)
        return written, process.returncode

    def _limit(self, executable: str) -> float:
        return self.installation.timeout_s or EXECUTABLES[executable].timeout_s

    def _time_left(self, executable: str) -> float:
        return max(self._limit(executable) - (time.monotonic() - self._begun), 0.001)

    def _kill(self, process: subprocess.Popen[bytes]) -> bytes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        container = self.installation.container
        stop = stop_command(container, self.folder) if container else None
        if stop is not None:
            subprocess.run(stop, capture_output=True, check=False)
        return process.communicate()[0] or b""

    def _note(self, executable: str, arguments: list[str], output: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join([executable, *arguments])}\n".encode())
            log.write(output)

    @staticmethod
    def _status(executable: str, written: str, code: int) -> int | None:
        """Status of the log's line; a shell would see it modulo 256."""
        if not EXECUTABLES[executable].logs_status:
            return code
        found = re.findall(_ENDING.format(name=re.escape(executable)), written)
        return int(found[-1]) if found else None

    def files(self, names: Sequence[str]) -> OsaFiles:
        """Outputs of the step with its log."""
        return OsaFiles(self.folder, (*names, LOG_FILE), held=self)


def _quoted_end(written: str, status: int | None) -> str:
    """Last line of an error in the log, in brackets."""
    lines = [" ".join(line.split()) for line in written.splitlines() if "Error_" in line or "FATAL" in line]
    said = lines[-1][:160] if lines else "" if status is not None else " ".join(written.splitlines()[-1:])[:160]
    return f" ({said})" if said else ""


def _split_extension(path: str) -> tuple[str, str]:
    """File and ``[extension]`` of a path that exists or a DOL."""
    if Path(path).exists():
        return path, ""
    match = re.fullmatch(r"(.*?)((?:\[[^\[\]/]*\])+)", path)
    return (match[1], match[2]) if match else (path, "")
