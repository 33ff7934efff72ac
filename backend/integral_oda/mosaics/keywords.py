"""Keywords of a mosaic from those of its images, and which software the images are of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["software_of", "summed_keywords"]

_OSA_11_SINCE = "2018-07"
"""Software configurations since then are OSA 11's: its flux scale and calibration differ from OSA 10's."""


def software_of(keywords: Mapping[str, Any]) -> str:
    """Software that an image's flux scale is of: ``"OSA 10"``, ``"OSA 11"``, ``"integral-oda"``, or its creator."""
    if "IMAGESOF" in keywords:
        return str(keywords["IMAGESOF"])
    creator = str(keywords.get("CREATOR", "")).strip()
    if creator.startswith("integral-oda"):
        return "integral-oda"
    date = re.search(r"\d{4}-\d{2}", str(keywords.get("CONFIGUR", "")))
    if creator.startswith("ii_skyimage") and date:
        return "OSA 11" if date[0] >= _OSA_11_SINCE else "OSA 10"
    return creator or "unknown"


_OF_ONE_WINDOW = ("SWID", "SW_TYPE", "SWBOUND", "OBTSTART", "OBTEND", "MOSASPR")


def _shared(all_keywords: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keywords that have the same value in all images: calibration, software, revolution."""
    first, *others = all_keywords
    return {
        name: value
        for name, value in first.items()
        if name not in _OF_ONE_WINDOW and all(name in other and other[name] == value for other in others)
    }


def summed_keywords(all_keywords: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Times, exposures and origin of a mosaic, and what its images have in common; what one lacks is left out."""
    found = _shared(all_keywords)
    for name, choose in (("TSTART", min), ("TSTOP", max), ("TFIRST", min), ("TLAST", max)):
        values = [float(keywords[name]) for keywords in all_keywords if name in keywords]
        if values:
            found[name] = choose(values)
    for name in ("ONTIME", "TELAPSE", "EXPOSURE"):
        found.pop(name, None)
        if all(name in keywords for keywords in all_keywords):
            found[name] = float(sum(float(keywords[name]) for keywords in all_keywords))
    if all("DEADC" in keywords and "ONTIME" in keywords for keywords in all_keywords):
        live = sum(float(keywords["DEADC"]) * float(keywords["ONTIME"]) for keywords in all_keywords)
        found["DEADC"] = live / max(found["ONTIME"], 1e-30)
    found["NSCW"] = sum(int(keywords.get("NSCW", 1)) for keywords in all_keywords)
    origins = sorted({software_of(keywords) for keywords in all_keywords})
    return {**found, "CREATOR": "integral-oda mosaic", "IMAGESOF": " + ".join(origins)}
