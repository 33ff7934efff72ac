"""Partial sums of mosaics: the same whatever the tree, one image in memory at a time, kept and read back."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.archive.tree import Archive
from integral_oda.engines.native import graph
from integral_oda.engines.native.gather import Mosaic
from integral_oda.engines.native.image import WindowImage
from integral_oda.engines.native.mosaic_sum import SumImages, add_up
from integral_oda.errors import DataError, RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.sky_grid import gnomonic_wcs
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source, SourceBand
from integral_oda.workflow.graph import walk

TANGENT = (84.0, 20.0)
BANDS = (EnergyBand(20, 40), EnergyBand(40, 80))
KEYWORDS = {"TFIRST": 1.0, "TLAST": 2.0, "ONTIME": 10.0, "TELAPSE": 11.0, "EXPOSURE": 9.0, "DEADC": 0.9}


def window(number, *, bands=BANDS, side=30):
    """A window's images: noise on planes that lie a little apart."""
    generator = np.random.default_rng(number)
    wcs = gnomonic_wcs(TANGENT[0] + number % 5, TANGENT[1] + number % 3)
    wcs.wcs.crpix = [side / 2, side / 2]
    images = []
    for band in bands:
        variance = generator.uniform(1, 2, (side, side)).astype(np.float32)
        flux = generator.normal(0, 1, (side, side)).astype(np.float32)
        images.append(SkyImage(flux, variance, flux / np.sqrt(variance), np.full_like(flux, 9), wcs, band, KEYWORDS))
    fluxes = tuple(SourceBand(*band, 5.0 + number, 1.0, 5.0 + number, *([1.0] * 4)) for band in bands)
    source = Source(f"S{number % 4}", 84.0, 20.0, 1.0, 1.0, new=False, forced=False, bands=fluxes)
    noise = [{"e1_kev": band.e1_kev, "e2_kev": band.e2_kev, "null_sigma": 1.0, "significance_sigma": 1.0}
             for band in bands]  # fmt: skip
    return WindowImage(images, [source], noise)


def finished(parts):
    return Mosaic().compute(
        [("all", part) for part in parts], {"tangent": list(TANGENT), "threshold": 7.0, "extra": [], "at": []}, {}
    )


def assert_same(one, other):
    # Places of pixels are worked out in single precision from the first of a block on.
    for first, second in zip(one.images, other.images, strict=True):
        assert first.shape == second.shape
        np.testing.assert_allclose(first.wcs.wcs.crpix, second.wcs.wcs.crpix)
        for plane in ("intensity", "variance", "significance", "exposure"):
            np.testing.assert_allclose(getattr(first, plane), getattr(second, plane), rtol=2e-5, atol=1e-4)
        assert first.keywords == second.keywords
    assert one.sources == other.sources


@settings(max_examples=12)
@given(cuts=st.sets(st.integers(1, 6), max_size=4), number=st.integers(2, 7))
def test_sums_of_sums_are_the_sum(cuts, number):
    windows = [window(n) for n in range(number)]
    edges = [0, *sorted(cut for cut in cuts if cut < number), number]
    groups = [windows[a:b] for a, b in pairwise(edges)]
    assert_same(finished([add_up(group, TANGENT) for group in groups]), finished(windows))


def test_only_one_image_is_in_memory_at_a_time():
    loaded, most = [], 0

    def load():
        nonlocal most
        for number in range(6):
            gc.collect()
            most = max(most, sum(image() is not None for image in loaded))
            one = window(number)
            loaded.append(weakref.ref(one.images[0]))
            yield one
            del one

    add_up(load(), TANGENT)
    # The first is kept as long as it may be the only one; of the others the loop holds the last.
    assert most == 1


def test_a_sum_is_read_back_as_it_was_kept(tmp_path):
    partial = add_up([window(n) for n in range(3)], TANGENT)
    SumImages().save(partial, tmp_path)
    kept = SumImages().load(tmp_path)
    assert kept.windows == partial.windows
    assert (kept.bands, kept.lone) == (partial.bands, None)
    assert_same(finished([kept, window(5)]), finished([partial, window(5)]))


def test_an_input_is_left_as_it_is():
    partial = add_up([window(0), window(1)], TANGENT)
    before = partial.sums[0].weight.copy()
    add_up([partial, window(2)], TANGENT)
    np.testing.assert_array_equal(partial.sums[0].weight, before)


def test_one_window_alone_keeps_its_own_grid(tmp_path):
    lone = window(3)
    SumImages().save(add_up([lone], TANGENT), tmp_path)
    kept = finished([SumImages().load(tmp_path)])
    np.testing.assert_array_equal(kept.images[0].intensity, lone.images[0].intensity)
    assert kept.images[0].wcs.wcs.crval == pytest.approx(lone.images[0].wcs.wcs.crval)
    assert finished([lone]) is lone


def test_bands_must_be_the_same():
    with pytest.raises(DataError, match="cannot be added up"):
        add_up([window(0), window(1, bands=BANDS[:1])], TANGENT)


def test_what_is_no_sum_is_told(tmp_path):
    with pytest.raises(DataError, match="no stored sum"):
        SumImages().load(tmp_path)
    SumImages().save(add_up([window(0), window(1)], TANGENT), tmp_path)
    (tmp_path / "weight_0.npy").write_bytes(b"")
    with pytest.raises(DataError, match="no stored sum"):
        SumImages().load(tmp_path)


def events_file(root, scw):
    """An event file as far as the plan reads it: where the window points."""
    path = root / "scw" / scw[:4] / scw / "isgri_events.fits"
    shift = int(scw[4:8]) % 7 / 10
    cards = {"SIMPLE": "T", "BITPIX": 8, "NAXIS": 0, "RA_SCX": 84 + shift, "DEC_SCX": 20.0, "RA_SCZ": 174 + shift,
             "DEC_SCZ": 0.0}  # fmt: skip
    text = "".join(f"{name:<8}= {value:>20}".ljust(80) for name, value in cards.items()) + "END".ljust(80)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((text + scw.ljust(80)).ljust(2880).encode())
    return path


def keys(root, windows):
    for scw in windows:
        if not (root / "scw" / scw[:4] / scw).exists():
            events_file(root, scw)
    target = graph.image_graph(Archive(root), windows, BANDS[:1], 7.0)
    return {node.key: node for node in walk([target])}


def names(numbers):
    return [f"0100{number:04d}0010.001" for number in numbers]


def test_three_windows_more_than_500_make_little_new(tmp_path):
    before = keys(tmp_path, names(range(500)))
    sums = [node for node in before.values() if node.step.name == "MOSAIC_SUM"]
    assert 500 / graph.WINDOWS_TOGETHER < len(sums) < 150
    assert max(len(node.inputs) for node in before.values() if node.step.tolerant) <= graph.WINDOWS_TOGETHER
    for after in (range(503), [*range(200), 900, 901, 902, *range(200, 500)]):
        new = [node for key, node in keys(tmp_path, names(after)).items() if key not in before]
        gathering = [node for node in new if node.scope == "all"]
        assert len({node.scope for node in new} - {"all"}) == 3
        assert len(gathering) <= 10
        assert sum(len(node.inputs) for node in gathering) <= 10 * graph.WINDOWS_TOGETHER


def test_the_grid_stays_when_windows_are_added(tmp_path):
    for numbers in (range(2), range(40), range(300)):
        for node in keys(tmp_path, names(numbers)).values():
            if node.step.name in ("MOSAIC", "MOSAIC_SUM"):
                assert node.parameters["tangent"] == [pytest.approx(84.7059, abs=1e-3), 20.0]


def test_a_window_whose_file_does_not_say_where_it_points_has_no_say(tmp_path):
    first, second = names([4, 5])
    events_file(tmp_path, first).write_bytes(b"SIMPLE  = damaged".ljust(2880))
    events_file(tmp_path, second)
    (mosaic,) = graph.image_graph(Archive(tmp_path), [first, second], BANDS[:1], 7.0).inputs
    assert mosaic.parameters["tangent"][1] == 20.0


def test_windows_too_far_apart_for_one_image_are_refused(tmp_path):
    near, far = names([4, 5])
    events_file(tmp_path, near)
    path = events_file(tmp_path, far)
    path.write_bytes(path.read_bytes().replace(b"RA_SCX  =                 84.5", b"RA_SCX  =                264.5"))
    with pytest.raises(RequestError, match=r"scw_list = 2 science windows, .* degrees from .*integral-oda mosaic"):
        graph.image_graph(Archive(tmp_path), [near, far], BANDS[:1], 7.0)
