"""What a source is called and where it is: catalogues first, then the resolvers of the network."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from integral_oda.catalog.isdc import find_isdc_catalogue, read_isdc_catalogue
from integral_oda.catalog.reference import CatalogSource, find_name, resolve
from integral_oda.errors import RequestError, UnavailableError
from integral_oda.folders import is_offline

__all__ = ["Resolved", "parse_designation", "resolve_name"]

SESAME_URL = "https://cds.unistra.fr/cgi-bin/nph-sesame/-oI/SNV?{}"
ODA_RESOLVER_URL = "https://resolver-prod.obsuks1.unige.ch/api/v1.1/byname/{}"
_TIMEOUT_S = (5.0, 20.0)
_DESIGNATION = re.compile(r"J\s*(\d{4,6}(?:\.\d+)?|\d{8,10})\s*([+\-\u2212\u2013])\s*(\d{2,6}(?:\.\d+)?|\d{7,9})\b")
_SESAME_POSITION = re.compile(r"^%J\s+(\d+\.?\d*)\s+([+-]?\d+\.?\d*)", re.MULTILINE)
_FEW_DIGITS = 6


@dataclass(frozen=True)
class Resolved:
    """A source with the origin of its position.

    Attributes
    ----------
    source : CatalogSource
        Name and position.
    origin : str
        ``"catalogue"``, the file of the user's reference catalogue, ``"Sesame"``, ``"ODA resolver"`` or
        ``"designation"``.
    accuracy_arcmin : float
        Of a position read from a designation: half of its last digit on the sky; 0 otherwise.
    """

    source: CatalogSource
    origin: str
    accuracy_arcmin: float = 0.0


def resolve_name(name: str, extra: Iterable[CatalogSource] = (), archive: Path | None = None) -> Resolved:
    """Find a source: the user's and the built-in catalogue, ISDC's reference catalogue, Sesame, the ODA resolver.

    Case, spaces and punctuation do not matter. A J2000 designation that nobody knows stands for its own coordinates.

    Parameters
    ----------
    name : str
        Name or alias.
    extra : iterable of CatalogSource
        The user's sources, which come first.
    archive : Path, optional
        Root of the archive, where ISDC's reference catalogue may be.

    Raises
    ------
    RequestError
        If nobody knows the name, if it may be several sources (the message lists them), or if only the network could
        know it and there is none.
    """
    extra = tuple(extra)
    found = find_name(name, extra)
    if found is not None:
        return Resolved(found, "catalogue")
    path = find_isdc_catalogue(archive)
    if path is not None and (found := find_name(name, read_isdc_catalogue(path), builtin=False)) is not None:
        return Resolved(found, str(path))
    network = _Network()
    return network.find(name) or _from_designation(name) or _refuse(name, extra, network.note)


def _refuse(name: str, extra: tuple[CatalogSource, ...], note: str) -> Resolved:
    """Say why a name was not found, and what else it may have been."""
    try:
        return Resolved(resolve(name, extra), "catalogue")
    except RequestError as exc:
        raise RequestError("src_name", name, exc.allowed + note) from None


class _Network:
    """The resolvers of the network, asked one after the other; ``note`` says what came of it."""

    def __init__(self) -> None:
        self.note = ""

    def find(self, name: str) -> Resolved | None:
        if not any(char.isalnum() for char in name):
            return None
        if is_offline():
            self.note = "; offline, so no resolver was asked: give RA and DEC"
            return None
        unreached = []
        asked: dict[str, Callable[[str], tuple[float, float] | None]] = {
            "Sesame": _ask_sesame,
            "ODA resolver": _ask_oda,
        }
        for origin, ask in asked.items():
            try:
                position = ask(name)
            except UnavailableError as exc:
                unreached.append(f"{origin}: {exc}")
                continue
            if position is not None and 0 <= position[0] < 360 and -90 <= position[1] <= 90:
                return Resolved(CatalogSource(name.strip(), *position), origin)
        silent = (
            f"; not reached: {', '.join(unreached)}" if unreached else ", nor do Sesame and the ODA resolver know it"
        )
        self.note = f"{silent}; give RA and DEC"
        return None


def _ask_sesame(name: str) -> tuple[float, float] | None:
    text = _get(os.environ.get("INTEGRAL_ODA_SESAME_URL", SESAME_URL), name).text
    match = _SESAME_POSITION.search(text)
    return (float(match[1]), float(match[2])) if match else None


def _ask_oda(name: str) -> tuple[float, float] | None:
    answer = _get(os.environ.get("INTEGRAL_ODA_RESOLVER_URL", ODA_RESOLVER_URL), name)
    try:
        values = answer.json()
        if not isinstance(values, dict) or not values.get("have_coordinates", values.get("success", "ra" in values)):
            return None
        ra, dec = float(values["ra"]), float(values["dec"])
    except (ValueError, KeyError, TypeError):
        return None
    return (ra, dec) if math.isfinite(ra) and math.isfinite(dec) else None


def _get(url: str, name: str) -> Any:
    import requests

    try:
        answer = requests.get(url.format(quote(name.strip())), timeout=_TIMEOUT_S)
    except requests.RequestException as exc:
        raise UnavailableError(f"{type(exc).__name__} at {url.split('/')[2]}") from None
    if not answer.ok:
        raise UnavailableError(f"HTTP {answer.status_code}")
    return answer


def _from_designation(name: str) -> Resolved | None:
    found = parse_designation(name)
    if found is None:
        return None
    ra, dec, accuracy = found
    return Resolved(CatalogSource(name.strip(), ra, dec), "designation", accuracy)


def parse_designation(name: str) -> tuple[float, float, float] | None:
    """Read the coordinates of a J2000 designation such as ``IGR J16318-4848`` or ``2MASS J05343194+2200521``.

    Designations are cut off, not rounded (IAU): the middle of what the digits leave open is given.

    Returns
    -------
    tuple of float or None
        Right ascension, declination (degrees) and half of the larger uncertainty, arcmin; None where the name has no
        such coordinates.
    """
    match = _DESIGNATION.search(name)
    if match is None:
        return None
    hours = _sexagesimal(match[1])
    degrees = _sexagesimal(match[3])
    if hours is None or degrees is None:
        return None
    ra, ra_step = 15 * hours[0], 15 * hours[1]
    sign = 1 if match[2] == "+" else -1
    dec = sign * (degrees[0] + degrees[1] / 2)
    if not (ra < 360 and abs(dec) <= 90):
        return None
    accuracy = max(ra_step * math.cos(math.radians(dec)), degrees[1]) / 2 * 60
    return (ra + ra_step / 2) % 360, dec, accuracy


def _sexagesimal(text: str) -> tuple[float, float] | None:
    """Value of HHMM, HHMM.m, HHMMSS, HHMMSS.s or of digits of seconds without their point, and the step of its end."""
    whole, _, decimals = text.partition(".")
    if len(whole) > _FEW_DIGITS:
        whole, decimals = whole[:_FEW_DIGITS], whole[_FEW_DIGITS:]
    if len(whole) % 2:  # the last digit is a tenth: HHMMm, DDd
        whole, decimals = whole[:-1], whole[-1] + decimals
    parts = [int(whole[at : at + 2]) for at in range(0, len(whole), 2)]
    if any(part >= 60 for part in parts[1:]):
        return None
    value = sum(part / 60**n for n, part in enumerate(parts))
    unit = 60.0 ** (1 - len(parts))
    step = unit * 10.0 ** -len(decimals)
    return value + (int(decimals) * step if decimals else 0.0), step
