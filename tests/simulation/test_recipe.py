from __future__ import annotations

import pytest

from integral_oda.errors import RequestError
from integral_oda.simulation.recipe import Recipe, make_recipe, read_recipe

POINTING = {"ra": 83.6, "dec": 22.0}
CRAB = {"name": "Crab", "ra": 83.63, "dec": 22.01, "flux": {"value": 1000, "unit": "mCrab"}}

EXAMPLE = """
seed: 7
dither: {ra: 83.6, dec: 22.0, pattern: hexagonal, count: 7}
duration_s: 1800
sources:
  - {name: Crab, ra: 83.63, dec: 22.01, flux: {value: 1000, unit: mCrab, band: [20, 40]}}
  - name: pulsar
    ra: 85.0
    dec: 26.3
    flux: {value: 3.0e-10, unit: erg/cm2/s}
    spectrum: {type: cutoff, index: 1, cutoff_kev: 20}
    behaviour: {type: periodic, period_s: 103.5}
detector: {modules_off: [3], dead_fraction: 0.02}
nuisances:
  mask_defects: [{y_mm: 10, z_mm: -50}]
"""


def test_a_recipe_from_a_file(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(EXAMPLE)
    recipe = read_recipe(path)
    assert recipe.seed == 7
    assert recipe.dither.step_deg == 2.17
    assert recipe.sources[0].flux.unit == "mCrab"
    assert recipe.sources[1].spectrum.cutoff_kev == 20
    assert recipe.sources[1].behaviour.period_s == 103.5
    assert recipe.detector.modules_off == (3,)
    assert recipe.nuisances.mask_defects[0].transmission == 0.5


def test_what_is_written_into_truth_makes_the_same_recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_text(EXAMPLE)
    recipe = read_recipe(tmp_path / "recipe.yaml")
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("change", "parameter", "allowed"),
    [
        ({"pointings": []}, "recipe", "pointings or dither"),
        ({"dither": {"ra": 1, "dec": 1}}, "recipe", "pointings or dither"),
        ({"sources": [CRAB, CRAB]}, "recipe", "name of its own"),
        ({"gaps_s": [[30, 20]]}, "recipe", "later stop"),
        ({"first_pointing": 9999, "pointings": [POINTING] * 2}, "recipe", "up to 9999"),
        ({"seeds": 3}, "seeds", "not permitted"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"detector": {"dead_time": 1.0}}, "detector.dead_time", "less than 1"),
        ({"detector": {"modules_off": [8]}}, "detector.modules_off.0", "less than or equal to 7"),
        ({"background": {"rate": "nan"}}, "background.rate", "finite"),
        ({"sources": [CRAB | {"flux": {"value": 1, "band": [40, 20]}}]}, "sources.0.flux", "15 <= E1 < E2 <= 1000"),
        ({"sources": [CRAB | {"spectrum": {"type": "line"}}]}, "sources.0.spectrum", "powerlaw"),
        ({"sources": [CRAB | {"spectrum": {"type": "band", "alpha": -3}}]}, "sources.0.spectrum.band", "below alpha"),
    ],
)
def test_the_first_thing_wrong_is_named(change, parameter, allowed):
    with pytest.raises(RequestError, match=allowed) as caught:
        make_recipe({"pointings": [POINTING]} | change)
    assert caught.value.parameter == parameter
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "allowed"), [("a: [", "no YAML"), ("- 1\n- 2\n", "no names and values"), ("", "no names and values")]
)
def test_a_file_that_is_no_recipe(tmp_path, content, allowed):
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(RequestError, match=allowed) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RequestError, match=r"none\.yaml: a readable YAML file is needed"):
        read_recipe(tmp_path / "none.yaml")
