import numpy as np
import pytest
from astropy.io import fits

from integral_oda.errors import DataError
from integral_oda.products.table_model_file import read_table_model
from integral_oda.spectra.model import model_from_expression

EDGES = np.geomspace(10, 500, 101)
INDICES = np.array([1.5, 2.0, 2.5])
CUTS = np.array([50.0, 200.0])


def photons(index, cut):
    centre = (EDGES[1:] + EDGES[:-1]) / 2
    return centre**-index * np.exp(-centre / cut) * np.diff(EDGES)


@pytest.fixture
def table(tmp_path):
    """A cut-off power law as a table model on a 3 x 2 grid, its rows in no order."""
    grid = [(i, c) for c in CUTS for i in INDICES]
    parameters = fits.BinTableHDU.from_columns(
        [
            fits.Column("NAME", "12A", array=["Index", "Cut"]),
            fits.Column("INITIAL", "E", array=[2.0, 100.0]),
            fits.Column("NUMBVALS", "J", array=[3, 2]),
            fits.Column("VALUE", "3E", array=[[*INDICES], [*CUTS, 0.0]]),
        ],
        name="PARAMETERS",
    )
    energies = fits.BinTableHDU.from_columns(
        [fits.Column("ENERG_LO", "E", array=EDGES[:-1]), fits.Column("ENERG_HI", "E", array=EDGES[1:])], name="ENERGIES"
    )
    spectra = fits.BinTableHDU.from_columns(
        [
            fits.Column("PARAMVAL", "2E", array=grid),
            fits.Column("INTPSPEC", "100E", array=[photons(*place) for place in grid]),
        ],
        name="SPECTRA",
    )
    path = tmp_path / "table.fits"
    fits.HDUList([fits.PrimaryHDU(), parameters, energies, spectra]).writeto(path)
    return path


def test_values_on_the_grid_and_between(table):
    model = model_from_expression(f"table('{table}')", read_table=read_table_model)
    assert model.names == ("index", "cut", "norm")
    energy = np.array([60.0])
    for index, cut in ((1.5, 50.0), (2.5, 200.0)):
        expected = 3.0 * 60.0**-index * np.exp(-60.0 / cut)
        assert model.density(energy, np.array([index, cut, 3.0]))[0] == pytest.approx(expected, rel=2e-3)
    ends = [model.density(energy, np.array([i, 50.0, 1.0]))[0] for i in (1.5, 1.75, 2.0)]
    assert ends[1] == pytest.approx((ends[0] + ends[2]) / 2)


def test_nothing_outside_its_energies(table):
    model = model_from_expression(f"table('{table}')", read_table=read_table_model)
    assert model.density(np.array([5.0, 600.0]), model.values).tolist() == [0.0, 0.0]


def test_a_table_added_to_a_component(table):
    model = model_from_expression(f"powerlaw + table('{table}')", read_table=read_table_model)
    alone = model_from_expression("powerlaw").density(np.array([60.0]), np.array([2.0, 1.0]))
    assert model.density(np.array([60.0]), model.values)[0] > alone[0]


def test_what_is_no_table(table, tmp_path):
    with fits.open(table) as hdus:
        fits.HDUList(hdus[:3]).writeto(tmp_path / "short.fits")
    with pytest.raises(DataError, match="SPECTRA"):
        read_table_model(tmp_path / "short.fits")
    with fits.open(table) as hdus:
        hdus["SPECTRA"].data = hdus["SPECTRA"].data[:4]
        hdus.writeto(tmp_path / "few.fits")
    with pytest.raises(DataError, match="4 spectra for a grid of 3 x 2"):
        read_table_model(tmp_path / "few.fits")
