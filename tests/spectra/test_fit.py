import numpy as np
import pytest

from integral_oda.errors import DataError, RequestError
from integral_oda.instrument.response import nominal_response
from integral_oda.spectra.fit import FitProblem, SpectrumData, fit_model
from integral_oda.spectra.model import model_from_expression

EDGES = np.geomspace(20.0, 400.0, 41)
RESPONSE = nominal_response(700, np.round(EDGES * 2) / 2)


def spectrum(photons, relative_error=0.02, seed=None, exposure=1e4, factor=1.0):
    rate = factor * RESPONSE.fold(photons)
    error = relative_error * rate
    drawn = rate if seed is None else rate + np.random.default_rng(seed).normal(size=len(rate)) * error
    edges = RESPONSE.channel_edges_kev
    energies = RESPONSE.energy_edges_kev
    return SpectrumData(
        "fake", drawn, error, edges[:-1], edges[1:], energies[:-1], energies[1:], RESPONSE.matrix, exposure
    )


def crab(energy):
    return 9.7 * energy**-2.1


def values(result):
    return {p.name: p.value for p in result.parameters}


def test_what_went_in_comes_out():
    result = fit_model(FitProblem([spectrum(crab)], model_from_expression("powerlaw")))
    assert values(result)["index"] == pytest.approx(2.1, abs=1e-4)
    assert values(result)["norm"] == pytest.approx(9.7, rel=1e-3)
    flux, error = result.flux(20, 100)
    assert flux == pytest.approx(1.712e-8, rel=2e-3)
    assert 0.001 < error / flux < 0.02
    assert result.converged
    assert result.dof == len(RESPONSE.channel_edges_kev) - 3


def test_errors_are_those_of_repeated_draws():
    model = model_from_expression("powerlaw")
    fits = [fit_model(FitProblem([spectrum(crab, seed=seed)], model)) for seed in range(60)]
    pulls = np.array([(values(f)["index"] - 2.1) / f.parameters[0].error for f in fits])
    assert abs(pulls.mean()) < 3 / np.sqrt(60)
    assert 0.75 < pulls.std() < 1.27
    flux = np.array([f.flux(30, 150) for f in fits])
    assert flux[:, 0].std() == pytest.approx(flux[:, 1].mean(), rel=0.3)
    statistic = np.array([f.value for f in fits])
    assert abs(statistic.mean() - fits[0].dof) < 4 * np.sqrt(2 * fits[0].dof / 60)


def test_minos_agrees_with_hesse_where_the_statistic_is_a_parabola():
    result = fit_model(FitProblem([spectrum(crab)], model_from_expression("powerlaw")), minos=True)
    index = result.parameters[0]
    assert index.upper == pytest.approx(index.error, rel=0.02)
    assert -index.lower == pytest.approx(index.error, rel=0.02)


def test_contour_touches_the_errors():
    result = fit_model(FitProblem([spectrum(crab)], model_from_expression("powerlaw")))
    (line,) = result.contour("index", "norm", [1.0])
    assert np.ptp(line[:, 0]) / 2 == pytest.approx(result.parameters[0].error, rel=0.1)
    with pytest.raises(RequestError, match="index"):
        result.contour("index", "nothing")


@pytest.mark.parametrize("relative_error", [0.02, 0.3, 0.6])
def test_the_statistic_on_a_contour_is_higher_by_its_level(relative_error):
    """Index and norm lie in a valley some hundred times as long as wide."""
    result = fit_model(FitProblem([spectrum(crab, relative_error, seed=4)], model_from_expression("powerlaw")))
    for level, line in zip((1, 2, 3), result.contour("index", "norm"), strict=True):
        higher = np.array([result.problem.value(point) for point in line]) - result.value
        assert higher == pytest.approx(level**2, rel=0.05)
        steps = np.hypot(*np.diff(np.vstack([line, line[:1]]), axis=0).T / np.ptp(line, axis=0)[:, None])
        assert steps.max() < 0.3


def test_a_bent_contour_is_followed_whole():
    """What is left to fit changes on the line: the range of the index is the same beside each other parameter."""
    bent = model_from_expression("cutoffpl")
    result = fit_model(FitProblem([spectrum(lambda e: crab(e) * np.exp(-e / 60), 0.2, seed=1)], bent), minos=True)
    index = result.parameters[0]
    for other in ("norm", "e_cut"):
        (line,) = result.contour("index", other, [1.0])
        ends = [line[:, 0].min() - index.value, line[:, 0].max() - index.value]
        assert ends == pytest.approx([index.lower, index.upper], rel=0.03)
        steps = np.hypot(*np.diff(np.vstack([line, line[:1]]), axis=0).T / np.ptp(line, axis=0)[:, None])
        assert steps.max() < 0.3


def test_a_contour_that_is_cut_short_is_none():
    """The data allow the cut-off up to its limit: no line is closed, and half of one would look like a small error."""
    bent = model_from_expression("cutoffpl")
    result = fit_model(FitProblem([spectrum(lambda e: crab(e) * np.exp(-e / 400), 0.3, seed=1)], bent))
    with pytest.raises(DataError, match=r"no contour of index and e_cut at 3 sigma"):
        result.contour("index", "e_cut", [3.0])


def test_cross_normalisation_of_two_spectra():
    pair = [spectrum(crab, seed=1), spectrum(crab, seed=2, factor=0.8)]
    result = fit_model(FitProblem(pair, model_from_expression("powerlaw")))
    assert values(result)["factor_spectrum2"] == pytest.approx(0.8, abs=0.02)


def test_counts_by_cash():
    rng = np.random.default_rng(3)
    faint = spectrum(lambda e: 1e-3 * crab(e), exposure=2000.0)
    counts = rng.poisson(faint.rate * 2000.0)
    drawn = SpectrumData("c", counts / 2000.0, np.sqrt(counts) / 2000.0, *spectrum_parts(faint), 2000.0)
    result = fit_model(FitProblem([drawn], model_from_expression("powerlaw"), "cstat"))
    assert abs(values(result)["index"] - 2.1) < 4 * result.parameters[0].error
    assert result.parameters[0].error < 0.5


def test_counts_with_a_background_by_wstat():
    rng = np.random.default_rng(4)
    source = spectrum(lambda e: 3e-2 * crab(e), exposure=2000.0)
    level = np.full(len(source.rate), 0.3)
    on, off = rng.poisson((source.rate + level) * 2000.0), rng.poisson(level * 2000.0 * 5)
    parts = spectrum_parts(source)
    drawn = SpectrumData("w", on / 2000.0, np.sqrt(on) / 2000.0, *parts, 2000.0, off / 10000.0, 5.0)
    result = fit_model(FitProblem([drawn], model_from_expression("powerlaw"), "wstat"))
    assert abs(values(result)["index"] - 2.1) < 4 * result.parameters[0].error
    assert result.flux(20, 100)[0] == pytest.approx(3e-2 * 1.712e-8, rel=0.1)


def spectrum_parts(data):
    return data.low_kev, data.high_kev, data.energy_low_kev, data.energy_high_kev, data.response


def test_confidence_band_holds_the_truth():
    energy = np.geomspace(20, 300, 30)
    result = fit_model(FitProblem([spectrum(crab, seed=5)], model_from_expression("powerlaw")))
    middle, low, high = result.band(energy, 4.0)
    assert np.all((low < crab(energy)) & (crab(energy) < high))
    assert np.all((low < middle) & (middle < high))


def test_a_line_on_a_continuum():
    def photons(energy):
        return crab(energy) + 0.05 * np.exp(-0.5 * ((energy - 70) / 4) ** 2) / (np.sqrt(2 * np.pi) * 4)

    model = model_from_expression("powerlaw+gaussian", {"line_e": 66.0, "sigma": 4.0}, frozen=["sigma"])
    found = values(fit_model(FitProblem([spectrum(photons)], model)))
    assert found["line_e"] == pytest.approx(70.0, abs=0.3)
    assert found["norm_2"] == pytest.approx(0.05, rel=0.05)


def test_nothing_but_noise_is_refused_or_bounded():
    data = spectrum(crab)
    with pytest.raises(RequestError, match="wstat"):
        FitProblem([data], model_from_expression("powerlaw"), "wstat")
    negative = SpectrumData("n", -data.rate, data.error, *spectrum_parts(data))
    with pytest.raises(RequestError, match="chi2"):
        FitProblem([negative], model_from_expression("powerlaw"), "cstat")
    assert values(fit_model(FitProblem([negative], model_from_expression("powerlaw"))))["norm"] == pytest.approx(
        0, abs=1e-2
    )


def test_fewer_bins_than_parameters():
    data = spectrum(crab)
    one = SpectrumData("one", data.rate[:1], data.error[:1], data.low_kev[:1], data.high_kev[:1], data.energy_low_kev,
                       data.energy_high_kev, data.response[:, :1])  # fmt: skip
    with pytest.raises(DataError, match="2 free parameters"):
        FitProblem([one], model_from_expression("powerlaw"))
