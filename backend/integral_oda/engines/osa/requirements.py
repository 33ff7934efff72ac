"""What the osa engine needs, found or missing, and how to get it."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from integral_oda.engines.osa.calibration import CALIBRATION, MASTER_GROUP
from integral_oda.engines.osa.installation import Installation, find_installation
from integral_oda.engines.osa.table import EXECUTABLES
from integral_oda.errors import UnavailableError

__all__ = ["Requirement", "check_osa", "require_osa"]

_LAST_GOOD_HEASOFT = (6, 27)
_OSA = "install OSA 11.2 from ISDC, or use a container image"
_HEASOFT = "install HEASoft 6.26 or 6.27 and source headas-init.sh"
_CATALOGUE = "fetch cat/hec/gnrl_refr_cat_NNNN.fits of ISDC's archive and set ISDC_REF_CAT to FILE[1]"
_IC = "fetch ic and idx/ic of ISDC's archive (arc/rev_3) and set CURRENT_IC to their root"
_AUX = "fetch aux/adp/RRRR.001 of ISDC's archive for each revolution"
_SPARE = ("rbnrmf", "dal_detach", "dal_list", "dal_dump")
"""Executables that no query needs."""
_TEMPLATES = ("GNRL-SCWG-GRP.tpl", "GNRL-SCWG-GRP-IDX.tpl", "GNRL-OBSG-GRP.tpl", "ISGR-DETE-SHD-IDX.tpl")


@dataclass(frozen=True)
class Requirement:
    """One thing that is needed.

    Attributes
    ----------
    name : str
    found : bool
    detail : str
        Where it is, or how to get it.
    needed : bool
        False for what some queries do without.
    warning : str
        What is wrong with what was found.
    """

    name: str
    found: bool
    detail: str
    needed: bool = True
    warning: str = ""

    def __str__(self) -> str:
        state = "found" if self.found else "missing"
        note = f" WARNING: {self.warning}" if self.warning else ""
        return f"{state:<8} {self.name:<44} {self.detail}{note}"


def check_osa(archive: Path, version: str | None = None) -> list[Requirement]:
    """Look for everything that the osa engine needs.

    Parameters
    ----------
    archive : Path
        Root of the science windows, for the auxiliary files.
    version : str, optional
        Of OSA.
    """
    try:
        installation = find_installation(version)
    except UnavailableError as exc:
        absent = [Requirement("OSA", found=False, detail=str(exc))]
        names = [item.name for item in EXECUTABLES.values()]
        return [
            *absent,
            *(Requirement(f"executable {name}", found=False, detail=_OSA) for name in names),
            Requirement("HEASoft", found=False, detail=_HEASOFT),
            Requirement("templates", found=False, detail=_OSA),
            *_data(None, "", archive),
        ]
    return [
        _place_of_osa(installation),
        *_executables(installation),
        _heasoft(installation),
        _templates(installation),
        *_data(installation.ic_root, installation.catalogue, archive),
    ]


def require_osa(archive: Path, version: str) -> Installation:
    """OSA of a version, if the engine can run with it.

    Raises
    ------
    UnavailableError
        Saying in one line what is missing.
    """
    installation = find_installation(version)
    missing = [
        item.name for item in check_osa(archive, version) if item.needed and not item.found and "aux" not in item.name
    ]
    if missing:
        raise UnavailableError(
            f"engine osa cannot run: {len(missing)} thing(s) missing, first {missing[0]}; "
            "`integral-oda osa check` lists them and says how to get them"
        )
    return installation


def _place_of_osa(installation: Installation) -> Requirement:
    container = installation.container
    if container is None or _ask(installation, "/bin/bash", "-c", "echo ready"):
        return Requirement("OSA", found=True, detail=f"{installation.version} in {installation.where}")
    fetch = f"{container.runtime} pull {container.image}, or set ISDC_ENV to an OSA installation"
    return Requirement("OSA", found=False, detail=f"{container.runtime} cannot run {container.image}: {fetch}")


def _executables(installation: Installation) -> list[Requirement]:
    names = list(EXECUTABLES)
    places = _inside(installation, names) if installation.container else _on_path(installation, names)
    return [
        Requirement(
            f"executable {name}", found=name in places, detail=places.get(name, _OSA), needed=name not in _SPARE
        )
        for name in names
    ]


def _on_path(installation: Installation, names: Sequence[str]) -> dict[str, str]:
    _, variables = installation.command(Path("/nowhere"), Path("/nowhere"), [])
    found = {name: shutil.which(name, path=variables.get("PATH")) for name in names}
    return {name: place for name, place in found.items() if place}


def _inside(installation: Installation, names: Sequence[str]) -> dict[str, str]:
    """Where executables are in a container, asked once for all."""
    script = 'for name in "$@"; do command -v "$name"; done; true'
    lines = _ask(installation, "/bin/bash", "-c", script, "osa", *names)
    return {Path(line).name: line for line in lines}


@functools.cache
def _ask(installation: Installation, *command: str) -> list[str]:
    """Lines that a command writes where the executables run."""
    import tempfile

    installation.work_root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="integral-oda-osa-", dir=installation.work_root) as folder:
        root = installation.ic_root or Path(folder)
        line, variables = installation.command(Path(folder), root, command)
        try:
            done = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return []
    return [text.strip() for text in done.stdout.splitlines() if text.strip()]


def _heasoft(installation: Installation) -> Requirement:
    if installation.container is None and installation.headas is None:
        return Requirement("HEASoft", found=False, detail=f"HEADAS is not set: {_HEASOFT}")
    told = " ".join(_ask(installation, "fversion"))
    match = re.search(r"[vV]?(\d+)\.(\d+)", told) or re.search(r"heasoft-?(\d+)\.(\d+)", _place(installation))
    if match is None:
        return Requirement("HEASoft", found=True, detail=f"{_place(installation)}, version unknown")
    version = (int(match[1]), int(match[2]))
    newer = version > _LAST_GOOD_HEASOFT and installation.version.startswith("11")
    text = f"{version[0]}.{version[1]}"
    warning = (
        f"HEASoft newer than 6.27 breaks the rebinning of responses (rbnrmf) of OSA 11: {_HEASOFT}" if newer else ""
    )
    return Requirement("HEASoft", found=True, detail=f"{text} in {_place(installation)}", warning=warning)


def _place(installation: Installation) -> str:
    return installation.container.image if installation.container else str(installation.headas)


def _templates(installation: Installation) -> Requirement:
    if installation.container is not None:
        script = 'for name in "$@"; do test -r "$ISDC_ENV/templates/$name" && echo "$name"; done; true'
        there = _ask(installation, "/bin/bash", "-c", script, "osa", *_TEMPLATES)
    else:
        folder = (installation.isdc_env or Path()) / "templates"
        there = [name for name in _TEMPLATES if (folder / name).is_file()]
    absent = [name for name in _TEMPLATES if name not in there]
    return Requirement(
        "templates", found=not absent, detail=f"without {', '.join(absent)}: {_OSA}" if absent else "all"
    )


def _data(ic_root: Path | None, catalogue: str, archive: Path) -> list[Requirement]:
    """Calibration, catalogue and auxiliary files: they lie on this machine in any case."""
    master = ic_root / MASTER_GROUP.partition("[")[0] if ic_root else None
    found = [_file("IC master group", master, _IC)]
    for item in {item.pattern: item for item in CALIBRATION.values()}.values():
        matches = sorted((ic_root / "ic" / "ibis").glob(item.pattern.replace("NNNN", "*"))) if ic_root else []
        name = f"ic/ibis/{item.pattern} ({item.content})"
        only_one = bool(item.osa) or item.pattern.startswith("rsp/isgr_")
        found.append(_file(name, matches[-1] if matches else None, _IC, needed=not only_one))
    found.append(_file("reference catalogue", Path(catalogue.partition("[")[0]) if catalogue else None, _CATALOGUE))
    for name, files in (("attitude", "attitude_*.fits*"), ("time correlation", "time_correlation.fits*")):
        matches = sorted(archive.glob(f"aux/adp/[0-9]*/{files}"))
        found.append(_file(f"aux/adp: {name}", matches[0] if matches else None, _AUX))
    return found


def _file(name: str, path: Path | None, how: str, *, needed: bool = True) -> Requirement:
    there = path is not None and path.is_file()
    return Requirement(name, found=there, detail=str(path) if there else how, needed=needed)
