"""Identifiers of science windows."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

from integral_oda.errors import RequestError

__all__ = ["ScwId", "ScwKind"]

_FORM = re.compile(r"(\d{4})(\d{4})(\d{3})([0-2])(?:\.(\d{3}))?", re.ASCII)
_RULE = "a science window is RRRRPPPPSSSF or RRRRPPPPSSSF.VVV, F one of 0 1 2 (255900280010.001)"
_CONSOLIDATED = 1


class ScwKind(IntEnum):
    """What the spacecraft did during a science window."""

    POINTING = 0
    SLEW = 1
    ENGINEERING = 2


@dataclass(frozen=True, order=True)
class ScwId:
    """A science window, written ``RRRRPPPPSSSF.VVV``.

    Attributes
    ----------
    revolution, pointing, subdivision : int
        Orbit of INTEGRAL, pointing in it, part of the pointing.
    kind : ScwKind
        Pointing, slew or engineering.
    version : int
        1 for consolidated data, 0 for near-real-time data.
    """

    revolution: int
    pointing: int
    subdivision: int
    kind: ScwKind = ScwKind.POINTING
    version: int = _CONSOLIDATED

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identifier; without a version, 001 is meant.

        Raises
        ------
        RequestError
            If the text is no identifier.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise RequestError("scw_list", text, _RULE)
        revolution, pointing, subdivision, kind, version = match.groups()
        return cls(int(revolution), int(pointing), int(subdivision), ScwKind(int(kind)), int(version or _CONSOLIDATED))

    @property
    def swid(self) -> str:
        """The 12 digits without the version, as in the keyword SWID."""
        return f"{self.revolution:04d}{self.pointing:04d}{self.subdivision:03d}{self.kind:d}"

    def with_version(self, version: int) -> Self:
        """Give the same window in another version of the archive."""
        return replace(self, version=version)

    def __str__(self) -> str:
        return f"{self.swid}.{self.version:03d}"
