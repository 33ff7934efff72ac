"""The table of executables: every parameter set at every call, nothing unknown, nothing missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.engines.osa.table import EXECUTABLES, Parameter, command_arguments
from integral_oda.errors import RequestError

NAMED = {
    *("ibis_isgr_energy", "ibis_isgr_evts_tag", "ibis_gti", "gti_user", "ibis_dead", "ii_shadow_build"),
    *("ii_map_rebin", "cat_extract", "ii_pif", "ii_shadow_ubc", "ghost_busters", "ii_skyimage"),
    *("ii_spectra_extract", "ii_lc_extract", "ii_light", "spe_pick", "lc_pick", "src_collect", "og_create"),
    *("dal_create", "dal_attach", "dal_detach", "dal_append", "dal_attr", "dal_attr_copy", "dal_list", "dal_dump"),
    "txt2idx",
}


def with_required(name, osa="11.2", **values):
    required = {
        p.name: "1" for p in EXECUTABLES[name].parameters if p.default is None and p.osa in ("", osa.partition(".")[0])
    }
    return command_arguments(name, {**required, **values}, osa)


def as_dict(arguments):
    return dict(text.partition("=")[::2] for text in arguments)


def test_the_table_has_every_executable():
    assert EXECUTABLES.keys() >= NAMED


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ii_skyimage", {"SearchMode": "3", "ToSearch": "5", "CleanMode": "1", "MinCatSouSnr": "4.0",
                         "MinNewSouSnr": "5.0", "NegModels": "1", "DoPart2": "1", "SouFit": "0", "ExtenType": "2",
                         "ScwType": "pointing"}),
        ("ii_shadow_build", {"gti_name": "MERGED_ISGRI", "isgri_min_rise": "16", "isgri_max_rise": "116",
                             "isgri_t_len": "10000000.0", "NoisyDetFlag": "1", "inEFFC": "auto"}),
        ("ii_spectra_extract", {"method_cor": "1", "MethodFit": "6", "MethodInt": "1", "num_band": "-1"}),
        ("ibis_gti", {"GTI_attTolerance_X": "0.5", "GTI_attTolerance_Z": "3.0", "disablePICsIT": "yes",
                      "IC_Alias": "OSA"}),
        ("ibis_isgr_energy", {"randSeed": "500", "eraseALL": "no"}),
        ("ii_shadow_ubc", {"brPifThreshold": "0.0001", "method_cor": "1"}),
        ("ii_light", {"GTIname": "MERGED_ISGRI", "onlydet": "no"}),
    ],
)  # fmt: skip
def test_defaults_are_the_manuals(name, values):
    assert values.items() <= as_dict(with_required(name)).items()


@pytest.mark.parametrize("name", EXECUTABLES)
def test_every_parameter_is_set_and_nobody_is_asked(name):
    for osa in ("10.2", "11.2"):
        told = as_dict(with_required(name, osa))
        known = {p.name for p in EXECUTABLES[name].parameters if p.osa in ("", osa[:2])}
        assert told.keys() == known | {"mode"}
        assert told["mode"] == "h"


def test_energy_correction_differs_between_the_two_generations():
    older, newer = (as_dict(with_required("ibis_isgr_energy", osa)).keys() for osa in ("10.2", "11.2"))
    assert older - newer == {"supGDOL", "supODOL"}
    assert newer - older == {"mcecDOL", "l2reDOL"}


def test_unknown_and_missing_parameters_are_refused():
    with pytest.raises(RequestError, match=r"ii_skyimage\.ToFind = 3: no such parameter; there are outOG"):
        with_required("ii_skyimage", ToFind=3)
    with pytest.raises(RequestError, match=r"ii_pif\.outOG = nothing: a value is needed"):
        command_arguments("ii_pif", {}, "11.2")


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [("integer", 2.5, "a whole number"), ("integer", "x", "a whole number"), ("real", "x", "a number"),
     ("yes_no", "maybe", "yes or no")],
)  # fmt: skip
def test_values_of_another_kind_are_refused(kind, value, told):
    with pytest.raises(RequestError, match=f"p = {value}: {told} is needed"):
        Parameter("p", kind).format(value)


@given(st.integers(-(10**9), 10**9))
def test_whole_numbers_come_as_they_are(value):
    assert int(Parameter("p", "integer").format(value)) == value
    assert int(Parameter("p", "integer").format(str(value))) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_exactly(value):
    assert float(Parameter("p", "real").format(value)) == value


@given(st.booleans())
def test_yes_and_no(value):
    assert Parameter("p", "yes_no").format(value) == ("yes" if value else "no")
