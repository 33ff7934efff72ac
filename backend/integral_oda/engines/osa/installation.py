"""Where OSA is: an installation on this machine, or a container."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integral_oda.engine_choice import DEFAULT_OSA_VERSION
from integral_oda.engines.osa.containers import DEFAULT_IMAGE, RUNTIMES, WORK, Container, Mount, container_command
from integral_oda.errors import RequestError, UnavailableError

__all__ = ["HOW_TO_FIND", "Installation", "find_installation"]

HOW_TO_FIND = (
    "set ISDC_ENV to an OSA installation, or have docker, podman or apptainer with an OSA image "
    f"(INTEGRAL_ODA_OSA_IMAGE, {DEFAULT_IMAGE} unless set)"
)
_ARCHIVE, _IC = "/data/archive", "/data/ic"
_VERSION = re.compile(r"(1[01]\.\d)")
_DAY_S = 86400.0


@dataclass(frozen=True)
class Installation:
    """One OSA.

    Attributes
    ----------
    version : str
        ``"11.2"``; what the folder or the image is called after, else what was asked for.
    isdc_env, headas : Path or None
        Roots of OSA and of HEASoft on this machine.
    container : Container or None
        In place of them.
    ic_root : Path or None
        Folder that holds ``ic/``, ``idx/ic/`` and ``cat/hec/``.
    catalogue : str
        Reference catalogue, a path of this machine with or without extension; empty if there is none.
    work_root : Path
        Where working directories are made.
    timeout_s : float or None
        Longest time a step may take, in place of the executables' own limits.
    """

    version: str
    isdc_env: Path | None
    headas: Path | None
    container: Container | None
    ic_root: Path | None
    catalogue: str
    work_root: Path
    timeout_s: float | None = None

    @property
    def where(self) -> str:
        """Place in words."""
        return f"{self.container.runtime} {self.container.image}" if self.container else str(self.isdc_env)

    def data_names(self) -> dict[str, Any]:
        """Names of the reference catalogue and of the calibration files by epoch: a product depends on them."""
        from integral_oda.engines.osa.calibration import epoch_files

        catalogue = Path(self.catalogue.partition("[")[0]).name
        return {"catalogue": catalogue, "calibration": epoch_files(self.ic_root) if self.ic_root else []}

    def mounts(self, archive: Path) -> list[Mount]:
        """Folders that a container sees."""
        found = [Mount(archive.absolute(), _ARCHIVE)]
        if self.ic_root is not None:
            found.append(Mount(self.ic_root.absolute(), _IC))
        return found

    def seen(self, path: str | Path, archive: Path) -> str:
        """How the executables name a path of this machine; a DOL's extension stays."""
        text = str(path)
        if self.container is None:
            return text
        for mount in self.mounts(archive):
            if text == str(mount.source) or text.startswith(f"{mount.source}/"):
                return mount.target + text[len(str(mount.source)) :]
        return text

    def environment(self, work: Path, archive: Path) -> dict[str, str]:
        """Variables of one working directory: its own parameter files, log and home, no screen, no prompt."""
        inside = WORK if self.container else str(work)
        own = {
            "COMMONLOGFILE": f"+{inside}/common.log",
            "COMMONSCRIPT": "1",
            "DISPLAY": "",
            "HOME": f"{inside}/home",
            "REP_BASE_PROD": self.seen(archive.absolute(), archive),
        }
        if self.ic_root is not None:
            own["CURRENT_IC"] = self.seen(self.ic_root.absolute(), archive)
        if self.catalogue:
            own["ISDC_REF_CAT"] = self.seen(self.catalogue, archive)
        if self.container is None:
            own["PFILES"] = f"{work}/pfiles;{self.isdc_env}/pfiles:{self.headas or ''}/syspfiles"
            own["CFITSIO_INCLUDE_FILES"] = f"{self.isdc_env}/templates"
        return own

    def command(
        self, work: Path, archive: Path, command: Sequence[str], folder: str = "."
    ) -> tuple[list[str], dict[str, str]]:
        """Command line and variables of the process that runs a command in a folder below ``work``."""
        own = self.environment(work, archive)
        if self.container is not None:
            line = container_command(self.container, work, command, own, self.mounts(archive), folder)
            return line, dict(os.environ)
        assert self.isdc_env is not None
        return list(command), {**_initialised(self.isdc_env, self.headas), **own}


def find_installation(version: str | None = None) -> Installation:
    """OSA of a version, as the environment says.

    ``INTEGRAL_ODA_OSA_RUNTIME`` (docker, podman, apptainer) chooses a container; else ``ISDC_ENV`` is taken, else the
    first of apptainer, podman and docker that is there. A second OSA is named by ``INTEGRAL_ODA_OSA_10_2`` and alike:
    a folder or an image.

    Parameters
    ----------
    version : str, optional
        Such as ``"10.2"``; without one, any will do.

    Raises
    ------
    UnavailableError
        If there is none, or not in this version.
    RequestError
        If a variable of the environment holds something else than it may.
    """
    second = os.environ.get(f"INTEGRAL_ODA_OSA_{version.replace('.', '_')}") if version else None
    wanted = second or os.environ.get("ISDC_ENV")
    runtime = _runtime(second)
    if runtime is None and not wanted:
        raise UnavailableError(f"OSA is not here: {HOW_TO_FIND}")
    image = second or os.environ.get("INTEGRAL_ODA_OSA_IMAGE", DEFAULT_IMAGE)
    container = Container(runtime, image) if runtime else None
    root = None if container else Path(wanted or "")
    if root is not None and not root.is_dir():
        raise UnavailableError(f"OSA is not here: ISDC_ENV = {root} is no folder; {HOW_TO_FIND}")
    found = _VERSION.search(image.rpartition(":")[2] if container else (root or Path()).resolve().name)
    own = found[1] if found else version or DEFAULT_OSA_VERSION
    if version is not None and own != version:
        raise UnavailableError(
            f"OSA {version} is not here, OSA {own} is: "
            f"set INTEGRAL_ODA_OSA_{version.replace('.', '_')} to its folder or image"
        )
    headas = os.environ.get("HEADAS")
    return Installation(own, root, Path(headas) if headas and not container else None, container, _ic_root(),
                        _catalogue(), _work_root(), _timeout())  # fmt: skip


def _runtime(second: str | None) -> str | None:
    given = os.environ.get("INTEGRAL_ODA_OSA_RUNTIME")
    if given is not None and given not in RUNTIMES:
        raise RequestError("INTEGRAL_ODA_OSA_RUNTIME", given, f"one of {', '.join(RUNTIMES)}")
    if second is not None and Path(second).is_dir():
        return None
    if given is None and second is None and os.environ.get("ISDC_ENV"):
        return None
    if given is not None:
        return given if shutil.which(given) else None
    # Apptainer would fetch an image of gigabytes that nobody has asked for
    chosen = second is not None or "INTEGRAL_ODA_OSA_IMAGE" in os.environ
    return next((name for name in RUNTIMES if shutil.which(name) and (chosen or name != "apptainer")), None)


def _ic_root() -> Path | None:
    given = os.environ.get("CURRENT_IC") or os.environ.get("REP_BASE_PROD")
    return Path(given) if given else None


def _catalogue() -> str:
    given = os.environ.get("ISDC_REF_CAT", "")
    if given or _ic_root() is None:
        return given
    newest = sorted((_ic_root() or Path()).glob("cat/hec/gnrl_refr_cat_[0-9]*.fits"))
    return f"{newest[-1]}[1]" if newest else ""


def _work_root() -> Path:
    import tempfile

    root = Path(os.environ.get("INTEGRAL_ODA_OSA_WORK") or tempfile.gettempdir()).absolute()
    if set("[]") & set(str(root)):
        raise RequestError(
            "INTEGRAL_ODA_OSA_WORK", root, "a folder without [ and ] in its path: OSA's names break at them"
        )
    return root


def _timeout() -> float | None:
    given = os.environ.get("INTEGRAL_ODA_OSA_TIMEOUT")
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 30 * _DAY_S:
        raise RequestError("INTEGRAL_ODA_OSA_TIMEOUT", given, "seconds, above 0")
    return seconds


@functools.cache
def _initialised(isdc_env: Path, headas: Path | None) -> Mapping[str, str]:
    """Environment after HEASoft's and OSA's own initialisation scripts, without the user's parameter files."""
    scripts = [headas / "headas-init.sh"] if headas else []
    scripts.append(isdc_env / "bin" / "isdc_init_env.sh")
    lines = [f". {_quoted(script)} >/dev/null 2>&1" for script in scripts if script.is_file()]
    start = {**os.environ, "ISDC_ENV": str(isdc_env)} | ({"HEADAS": str(headas)} if headas else {})
    if lines:
        done = subprocess.run(["/bin/bash", "-c", f"{'; '.join(lines)}; env -0"], env=start, capture_output=True,
                              check=False)  # fmt: skip
        start = dict(item.partition("=")[::2] for item in done.stdout.decode(errors="replace").split("\0") if item)
    start["PATH"] = f"{isdc_env}/bin:{start.get('PATH', os.defpath)}"
    return {name: value for name, value in start.items() if name not in ("PFILES", "COMMONLOGFILE")}


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
