"""Which engine carries a query out."""

from __future__ import annotations

import pytest

from integral_oda.errors import RequestError
from integral_oda.query import ImageQuery, LightCurveQuery, QualityQuery, make_query
from integral_oda.request import refuse_engine, split_by_osa_version

EARLY, LATE = "066500280010.001", "255900280010.001"


def query(kind=ImageQuery, **values):
    return make_query(kind, **{"scw_list": (EARLY, LATE), "engine": "osa"} | values)


def test_the_native_engine_is_the_default():
    assert make_query(ImageQuery, scw_list=LATE).engine == "native"
    assert query().osa_version == "11.2"


def test_choices_are_read():
    chosen = query(engine_for=("MOSAIC=native", "IMA=osa"), osa_parameters=("ii_skyimage.ToSearch=10",))
    assert chosen.engines_of_steps == {"MOSAIC": "native"}
    assert chosen.parameters_of_executables == {"ii_skyimage": {"ToSearch": "10"}}
    assert ImageQuery(**chosen.model_dump(mode="json")) == chosen


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"engine": "idl"}, "engine = idl: input should be 'native', 'osa' or 'mmoda'"),
        ({"engine_for": ("mosaic",)}, "engine_for = .*STEP=ENGINE is needed"),
        ({"osa_parameters": ("ToSearch=1",)}, "osa_parameters = .*EXECUTABLE.PARAMETER=VALUE is needed"),
        ({"osa_version": "12.0"}, "osa_version = 12.0: one of 11.2, 10.2"),
        ({"osa_version": "11.2+10.2"}, "osa_version = 11.2.10.2: one of"),
    ],
)
def test_bad_choices_are_told(values, told):
    with pytest.raises(RequestError, match=told):
        query(**values)


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        (ImageQuery, {"phase": "59864.5,3.2,0.1,0.2"}, "phase = .*only the engine native takes it"),
        (ImageQuery, {"bands": ((20.0, 900.0),)}, "band = .*15 to 800 keV"),
        (LightCurveQuery, {"E2_keV": 900.0}, "band = .*15 to 800 keV"),
        (QualityQuery, {"scw_list": LATE}, "engine = osa: quality page"),
        (ImageQuery, {"engine": "native", "engine_for": ("IMA=osa",)}, "engine_for = IMA=osa: single steps"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(kind, values, told):
    with pytest.raises(RequestError, match=told):
        refuse_engine(query(kind, **values))


def test_two_versions_of_osa_give_two_products():
    parts = split_by_osa_version(query(osa_version="10.2+11.1"))
    assert [(part.osa_version, part.scw_list) for part in parts] == [("10.2", (EARLY,)), ("11.1", (LATE,))]
    assert split_by_osa_version(query(osa_version="10.2+11.2", scw_list=LATE))[0].osa_version == "11.2"
    assert split_by_osa_version(query()) == [query()]


@pytest.mark.parametrize("version", ["11.0", "11.1"])
def test_versions_without_early_calibration_refuse_early_windows(version):
    with pytest.raises(RequestError, match=f"osa_version = {version}: .*no calibration before revolution 1626"):
        split_by_osa_version(query(osa_version=version))
    assert len(split_by_osa_version(query(osa_version=version, scw_list=LATE))) == 1
