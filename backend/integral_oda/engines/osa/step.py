"""What the steps of the osa engine have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from integral_oda.engines.osa.calibration import MASTER_GROUP, calibration_dol
from integral_oda.engines.osa.installation import find_installation
from integral_oda.engines.osa.raw_files import CONTENTS
from integral_oda.engines.osa.workspace import OsaFiles, Workspace
from integral_oda.errors import UnavailableError
from integral_oda.instrument.energy import EnergyBand

__all__ = ["Call", "OsaStep"]


@dataclass
class Call:
    """One call of a step: its working directory and what it is given.

    Attributes
    ----------
    work : Workspace
    inputs : sequence
        Results of other steps.
    parameters : mapping
        Of the node.
    raw : mapping of str to Path
        Raw files by the names of `raw_files`.
    """

    work: Workspace
    inputs: Sequence[Any]
    parameters: Mapping[str, Any]
    raw: Mapping[str, Path]

    @property
    def bands(self) -> list[EnergyBand]:
        """Energy bands."""
        return [EnergyBand(*band) for band in self.parameters["bands"]]

    @property
    def level(self) -> str:
        """BIN_I, BIN_S or BIN_T."""
        return str(self.parameters["level"])

    def dol(self, name: str) -> str:
        """Raw file as the executables see it, with its extension."""
        return self.work.seen(f"{self.raw[name]}{CONTENTS[name]}")

    def attitude(self) -> list[str]:
        """Attitude and its prediction; the same twice where it is reconstructed."""
        if "attitude" in self.raw:
            return [self.dol("attitude")] * 2
        return [self.dol("snapshot"), self.dol("predicted")]

    def calibration(self, name: str) -> str:
        """Calibration file valid at the window's start, as the executables see it."""
        return self.work.seen(calibration_dol(name, self.ic_root, self.start_ijd))

    def calibrations(self, *names: str) -> dict[str, str]:
        """Calibration files by the parameters that take them."""
        return {name: self.calibration(name) for name in names}

    @property
    def master_group(self) -> str:
        """Master group of the calibration."""
        return self.work.seen(f"{self.ic_root}/{MASTER_GROUP}")

    @property
    def ic_root(self) -> Path:
        """Root of the calibration tree."""
        root = self.work.installation.ic_root
        if root is None:
            raise UnavailableError("no calibration tree: set CURRENT_IC to the folder that holds ic/ and idx/ic/")
        return root

    def reference_catalogue(self, selection: str) -> str:
        """Reference catalogue with a row filter, as the executables see it."""
        catalogue = self.work.installation.catalogue
        if not catalogue:
            raise UnavailableError("no reference catalogue: set ISDC_REF_CAT to gnrl_refr_cat_NNNN.fits[1]")
        return f"{self.work.seen(catalogue)}[{selection}]"

    @property
    def start_ijd(self) -> float:
        """Start of the science window, IJD; of the mission where the step has no window."""
        if "swg" not in self.raw:
            return 0.0
        from integral_oda.archive.fits_table import read_hdus

        return float(read_hdus(self.raw["swg"])[1].header.get("TSTART") or 0.0)


class OsaStep:
    """A step that runs executables in a working directory of its own and leaves files."""

    outputs: ClassVar[tuple[str, ...]] = ()

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> OsaFiles:
        """Run the executables."""
        installation = find_installation(parameters["osa"])
        archive = raw["swg"].parents[3] if "swg" in raw else installation.ic_root or Path()
        work = Workspace(installation, archive, parameters.get("given"))
        self.carry_out(Call(work, inputs, parameters, raw))
        return work.files(self.outputs)

    def carry_out(self, call: Call) -> None:
        """Do what the step does, in ``call.work``."""
        raise NotImplementedError

    def save(self, value: OsaFiles, folder: Path) -> None:
        """Keep the files."""
        value.copy_to(folder)

    def load(self, folder: Path) -> OsaFiles:
        """Find the files."""
        return OsaFiles.read(folder)
