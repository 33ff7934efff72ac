"""Pointings from tables of other origin: ISDC's index and those of the archives."""

from __future__ import annotations

import pytest
from astropy.io import fits
from astropy.table import Table

from integral_oda.archive.pointing_tables import read_pointings
from integral_oda.errors import RequestError


def isdc_index(path):
    """ISDC's GNRL-SCWG-GRP-IDX: a grouping table, one row a science window, with its folder."""
    names = ["002400050010", "255900280010", "255900290021"]
    folders = [f"../../scw/{n[:4]}/{n}.{v}/swg.fits" for n, v in zip(names, ("001", "002", "000"), strict=True)]
    columns = [
        fits.Column("MEMBER_LOCATION", "256A", array=folders),
        fits.Column("SWID", "12A", array=names),
        fits.Column("SW_TYPE", "16A", array=["POINTING", "POINTING", "SLEW"]),
        fits.Column("TSTART", "1D", array=[1050.0, 8320.63, 8320.68]),
        fits.Column("TSTOP", "1D", array=[1050.1, 8320.67, 8320.69]),
        *(fits.Column(f"{axis}_SC{xz}", "1E", array=[10.0, 20.0, 30.0]) for axis in ("RA", "DEC") for xz in "XZ"),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="GROUPING")
    table.header["GRPNAME"] = "GNRL-SCWG-GRP-IDX"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def test_isdcs_index(tmp_path):
    index = read_pointings(isdc_index(tmp_path / "GNRL-SCWG-GRP-IDX.fits"))
    assert index.names == ["002400050010.001", "255900280010.002", "255900290021.000"]
    assert index.kind.tolist() == [0, 0, 1]
    assert index.attitudes[1].tolist() == [20.0] * 4
    assert index.tstart[1] == 8320.63


@pytest.mark.parametrize(
    ("kind", "name"), [("fits", "x.fits"), ("votable", "x.xml"), ("ascii.csv", "x.csv"), ("ascii.ecsv", "x.ecsv")]
)
def test_heasarcs_table_in_every_form(tmp_path, kind, name):
    table = Table(
        {
            "SCW_ID": ["066500010010", "066500020021"],
            "SCW_VER": ["001", "000"],
            "SCW_TYPE": ["pointing", "slew"],
            "RA_X": [83.6, 84.0],
            "DEC_X": [22.0, 22.5],
            "START_DATE": ["2008-03-25 02:00:00", "2008-03-25 03:00:00"],
            "END_DATE": ["2008-03-25 03:00:00", "2008-03-25 03:02:00"],
            "GOOD_ISGRI": [3500.0, 100.0],
        }
    )
    table.write(tmp_path / name, format=kind)
    index = read_pointings(tmp_path / name)
    assert index.names == ["066500010010.001", "066500020021.000"]
    assert index.kind.tolist() == [0, 1]
    assert index.good_s.tolist() == [3500, 100]
    assert index.tstop[0] - index.tstart[0] == pytest.approx(1 / 24)


@pytest.mark.parametrize("text", ["", "a b\n", "00600020001 256 50 soon 100\n", "25590028\n"])
def test_what_lists_nothing(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(RequestError, match="index = "):
        read_pointings(tmp_path / "x.txt")
