"""OSA's executables with their parameters, as one table.

Names, types and defaults are those of the components' parameter files (OSA 10 and 11 IBIS user manuals) and of the
runs of single executables in public services. Every parameter is set at every call: what a parameter file happens to
hold never matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from integral_oda.errors import RequestError

__all__ = ["EXECUTABLES", "Executable", "Parameter", "command_arguments"]

Kind = Literal["text", "integer", "real", "yes_no"]
REQUIRED: Final = None
DAY_LONG_S = 10_000_000
_HOUR_S, _HELPER_S = 3600.0, 120.0


@dataclass(frozen=True)
class Parameter:
    """One parameter of an executable.

    Attributes
    ----------
    name : str
    kind : {"text", "integer", "real", "yes_no"}
        A DOL, a file name and a list of numbers are texts.
    default : str, int, float, bool or None
        None where a value must be given.
    osa : str
        ``"10"`` or ``"11"`` where only that OSA has it.
    """

    name: str
    kind: Kind
    default: str | int | float | bool | None = REQUIRED
    osa: str = ""

    def format(self, value: Any) -> str:
        """Write a value as PIL reads it.

        Raises
        ------
        RequestError
            If it is not of the parameter's kind.
        """
        try:
            return _FORMATS[self.kind](value)
        except (TypeError, ValueError):
            raise RequestError(self.name, value, f"{_KINDS[self.kind]} is needed") from None


_KINDS = {"text": "a text", "integer": "a whole number", "real": "a number", "yes_no": "yes or no"}


def _yes_no(value: Any) -> str:
    text = str(value).lower()
    if text in ("true", "yes", "y"):
        return "yes"
    if text in ("false", "no", "n"):
        return "no"
    raise ValueError(text)


def _integer(value: Any) -> str:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return str(int(number))


_FORMATS: Mapping[Kind, Callable[[Any], str]] = {
    "text": str,
    "integer": _integer,
    "real": lambda value: repr(float(value)),
    "yes_no": _yes_no,
}


@dataclass(frozen=True)
class Executable:
    """One executable.

    Attributes
    ----------
    name : str
    parameters : tuple of Parameter
    timeout_s : float
        Longest time that one call may take.
    logs_status : bool
        Whether it ends with ``Task NAME terminating with status N``; HEASoft's do not.
    """

    name: str
    parameters: tuple[Parameter, ...]
    timeout_s: float = _HOUR_S
    logs_status: bool = True


def _text(*names: str, default: str | None = REQUIRED, osa: str = "") -> tuple[Parameter, ...]:
    return tuple(Parameter(name, "text", default, osa) for name in names)


def _one(kind: Kind, name: str, default: Any = REQUIRED) -> tuple[Parameter, ...]:
    return (Parameter(name, kind, default),)


def _int(name: str, default: int | None = REQUIRED) -> tuple[Parameter, ...]:
    return _one("integer", name, default)


def _real(name: str, default: float | None = REQUIRED) -> tuple[Parameter, ...]:
    return _one("real", name, default)


def _flag(name: str, default: bool | None = REQUIRED) -> tuple[Parameter, ...]:
    return _one("yes_no", name, default)


_BANDS = (*_int("num_band"), *_text("E_band_min", "E_band_max"))
_ATTENUATION = _text("mask", "tungAtt", "aluAtt", "leadAtt")
_IC = (*_text("IC_Group"), *_text("IC_Alias", default="OSA"))
_CHATTER = _int("chatter", 3)
_EXTRACTION = (
    *_text("outSwg", "inCat"), *_ATTENUATION, *_text("isgrUnifDol"), *_text("isgrBkgDol", default="-"),
    *_text("corrDol", "OutType"), *_int("method_cor", 1),
)  # fmt: skip
_BTI = "IBIS_CONFIGURATION IBIS_BOOT ISGRI_RISE_TIME VETO_PROBLEM SOLAR_FLARE BELT_CROSSING"

_STEPS = (
    Executable("ibis_isgr_energy", (
        *_text("inGRP", "outCorEvts"), *_flag("useGTI", False), *_flag("eraseALL", False), *_int("randSeed", 500),
        *_text("riseDOL", "GODOL"), *_text("mcecDOL", "l2reDOL", osa="11"), *_text("supGDOL", "supODOL", osa="10"),
        *_int("chatter", 4),
    )),
    Executable("ibis_isgr_evts_tag", (*_text("inGRP", "idxSwitch"), *_text("seleEXT", default="ISGR-EVTS-COR"))),
    Executable("ibis_gti", (
        *_text("swgDOL", "GTI_Index"), *_IC, *_flag("disablePICsIT", True), *_real("GTI_attTolerance_X", 0.5),
        *_real("GTI_attTolerance_Z", 3.0), *_text("GTI_BTI_Dol"), *_text("GTI_BTI_Names", default=_BTI),
        *_text("GTI_gtiUserI", default=""), *_text("GTI_TimeFormat", default="IJD"),
    )),
    Executable("gti_user", (*_real("begin"), *_real("end"), *_text("gti"))),
    Executable("ibis_dead", (
        *_text("swgDOL"), *_IC, *_text("isgroutDead", "picsoutDead", "compoutDead"), *_flag("disablePICsIT", True),
        *_flag("disableCompton", True), *_text("icDOL", default=""),
    )),
    Executable("ii_shadow_build", (
        *_text("outSWGGRP", "inDead", "inGTI"), *_text("gti_name", default="MERGED_ISGRI"), *_text("outputLevel"),
        *_int("isgri_e_num"), *_text("isgri_e_min", "isgri_e_max", "inEnergyValues", default=""),
        *_int("isgri_min_rise", 16), *_int("isgri_max_rise", 116), *_real("isgri_t_len", float(DAY_LONG_S)),
        *_text("idxLowThre", "idxNoisy"), *_text("inEFFC", default="auto"), *_int("NoisyDetFlag", 1),
        *_text("isgri_row_filter", default=""), *_text("outRawShadow", "outEffShadow"),
    )),
    Executable("ii_map_rebin", (
        *_text("outSwg", "OutType"), *_real("slope", -2.0), *_text("arfDol"),
        *_text("inpBkgDol", "rebBkgDol", "inpCorrDol", "rebCorrDol", "inpUniDol", "rebUniDol", default=""),
    )),
    Executable("cat_extract", (
        *_text("outGRP", "outCat"), *_text("outExt", default="ISGR-SRCL-CAT"), *_text("instrument", default="ISGRI"),
        *_flag("clobber", True), *_text("refCat"), *_text("fluxDef", "fluxMin", default=""),
    )),
    Executable("ii_pif", (*_text("inOG", default=""), *_text("outOG", "inCat"), *_ATTENUATION, *_BANDS)),
    Executable("ii_shadow_ubc", (
        *_text("outSWGRP", "OutType", "outCorShadow", "isgrUnifDol", "isgrBkgDol"), *_text("brPif", default=""),
        *_real("brPifThreshold", 1e-4), *_int("method_cor", 1),
    )),
    Executable("ghost_busters", (*_text("ogDOL", default=""), *_text("inDOL", "sourcecat", "maskmod"))),
    Executable("ii_skyimage", (
        *_text("outOG", "outCat", "mask", "deco", "tungAtt", "aluAtt", "leadAtt", "covrMod", "corrDol"),
        *_text("outMosIma", "outMosRes"), *_text("inCat", default=""), *_text("ScwDir", default="./"),
        *_text("ScwType", default="pointing"), *_int("ExtenType", 2), *_int("FastOpen", 1), *_text("OutType"), *_BANDS,
        *_int("SearchMode", 3), *_int("ToSearch", 5), *_int("CleanMode", 1), *_real("MinCatSouSnr", 4.0),
        *_real("MinNewSouSnr", 5.0), *_int("NegModels", 1), *_int("DoPart2", 1), *_int("SouFit", 0),
        *_real("MapSize", 40.0), *_real("MapAlpha", 0.0), *_real("MapDelta", 0.0), *_int("PixSpread", 1),
    )),
    Executable("ii_spectra_extract", (
        *_EXTRACTION, *_text("outPif", "outSpec", "idx_isgrResp"), *_int("num_band", -1),
        *_text("E_band_min", "E_band_max", default=""), *_int("MethodFit", 6), *_int("MethodInt", 1),
    )),
    Executable("ii_lc_extract", (*_EXTRACTION, *_text("outLC"))),
    Executable("ii_light", (
        *_text("inSwg"), *_int("num_e"), *_text("e_min", "e_max", "outLC"), *_text("GTIname", default="MERGED_ISGRI"),
        *_text("context", "idxSwitch", "idxNoise", "backDol", "corrDol", "pifDOL"),
        *_text("source_selectDol", default=""), *_flag("onlydet", False), *_real("delta_t"), *_CHATTER,
    )),
    Executable("spe_pick", (*_text("group", "source", "rootname"), *_text("instrument", default="isgri"))),
    Executable("lc_pick", (*_text("group", "source", "lc"), *_text("instrument", default="isgri"))),
    Executable("src_collect", (*_text("group", "results"), *_text("instName", default="ISGRI"))),
)  # fmt: skip

_HELPERS = (
    Executable("og_create", _text("idxSwg", "instrument", "ogid", "baseDir"), _HELPER_S),
    Executable("dal_create", _text("obj_name", "template"), _HELPER_S),
    Executable("dal_attach", (*_text("Parent", "Child1"), *_text("Child2", "Child3", "Child4", default="")), _HELPER_S),
    Executable("dal_detach", (*_text("object", "child"), *_flag("recursive", False)), _HELPER_S),
    Executable("dal_append", _text("grpDOL", "element"), _HELPER_S),
    Executable("dal_list", (*_text("dol"), *_text("extname", default="")), _HELPER_S),
    Executable("dal_dump", (*_text("inDol"), *_text("outFile", default="-")), _HELPER_S),
    Executable("dal_attr", (
        *_text("indol", "keynam"), *_text("action", default="WRITE"), *_text("type"), *_int("value_i", 0),
        *_text("value_s", default=""), *_real("value_r", 0.0),
    ), _HELPER_S),
    Executable("dal_attr_copy", _text("indol", "outdol", "keylist"), _HELPER_S),
    Executable("txt2idx", _text("element", "index", "template"), _HELPER_S),
    Executable("fextract", (*_text("infile", "outfile"), *_flag("clobber", True)), _HELPER_S, logs_status=False),
    Executable("rbnrmf", (*_text("infile", "outfile", "binfile"), *_flag("clobber", True)), _HELPER_S,
               logs_status=False),
)  # fmt: skip

EXECUTABLES: Mapping[str, Executable] = {item.name: item for item in (*_STEPS, *_HELPERS)}


def command_arguments(executable: str, values: Mapping[str, Any], osa_version: str) -> list[str]:
    """Write all parameters of a call as ``name=value``, in the table's order.

    Parameters
    ----------
    executable : str
        Name in `EXECUTABLES`.
    values : mapping
        What differs from the defaults.
    osa_version : str
        Such as ``"11.2"``; parameters of the other generation are left out.

    Raises
    ------
    RequestError
        For a parameter that the executable does not have, one that is missing, or a value of another kind.
    """
    generation = osa_version.partition(".")[0]
    known = {p.name: p for p in EXECUTABLES[executable].parameters if p.osa in ("", generation)}
    for name in values:
        if name not in known:
            raise RequestError(f"{executable}.{name}", values[name], f"no such parameter; there are {', '.join(known)}")
    arguments = []
    for name, parameter in known.items():
        value = values.get(name, parameter.default)
        if value is None:
            raise RequestError(f"{executable}.{name}", "nothing", "a value is needed")
        arguments.append(f"{name}={parameter.format(value)}")
    return [*arguments, "mode=h"]
