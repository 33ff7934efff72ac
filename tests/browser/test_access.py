"""Who hears the page, who uses the keyboard alone, who reads it dark: names of inputs and figures, and contrast."""

from __future__ import annotations

import io
from collections import Counter

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCW = "255900280010.001"
QUERY = f"scw_list={SCW}&src_name=SGR%201935%2B2154&bands=28-80,40-80"
LEAST_CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3, level AA."""

UNNAMED = """() => [...document.querySelectorAll(
  '.oda-page input, .oda-page select, .oda-page textarea, .oda-page button, .oda-page [role=slider]')]
  .filter(e => e.checkVisibility())
  .filter(e => !(e.labels?.[0]?.innerText || e.getAttribute('aria-label') || (e.tagName == 'BUTTON' && e.innerText)))
  .map(e => e.outerHTML.slice(0, 200))"""
PALE = """least => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = e => { const own = e ? rgba(getComputedStyle(e).backgroundColor) : [255, 255, 255, 1];
    return own[3] == 1 ? own.slice(0, 3) : over(own, behind(e.parentElement)); };
  const light = colour => colour.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  const texts = document.createTreeWalker(document.querySelector('.oda-page'), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, words = texts.currentNode.data.trim();
    if (!words || !e.checkVisibility() || e.closest('style, :disabled') || !e.getClientRects().length) continue;
    const below = behind(e), colour = rgba(getComputedStyle(e).color);
    for (let up = e; up; up = up.parentElement) colour[3] *= getComputedStyle(up).opacity;
    const [high, low] = [light(below), light(over(colour, below))].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) found.push(`${ratio.toFixed(2)}: ${words.slice(0, 60)}`);
  }
  return found;
}"""


def results(page):
    """The page with an image, a light curve and a spectrum, its folds open."""
    page.wait_for_function("document.querySelectorAll('.oda-result-bar').length >= 3", timeout=180_000)
    while page.locator("button.oda-fold-title", has_text="▸").count():
        page.locator("button.oda-fold-title", has_text="▸").first.press("Enter")
        page.wait_for_timeout(150)
    page.wait_for_timeout(2500)


def contrast(picture):
    """Largest contrast of a figure's pixels to the colour that most of them have, and that colour's brightness."""
    from PIL import Image

    pixels = Counter(Image.open(io.BytesIO(picture)).convert("RGB").get_flattened_data())
    most = brightness(pixels.most_common(1)[0][0])
    ratios = [(max(most, b) + 0.05) / (min(most, b) + 0.05) for b in map(brightness, pixels)]
    return max(ratios), most


def brightness(colour):
    """Relative luminance of an sRGB colour."""
    linear = [v / 3294.6 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_everything_has_a_name_and_can_be_read_in_both_themes(app, page, keep):
    page.goto(f"{app.url}?{QUERY}")
    page.get_by_role("button", name="Image, light curve, spectrum").click()
    results(page)
    assert page.evaluate(UNNAMED) == []
    for title in ("Energy bands [keV]", "Detection threshold [sigma]", "Source of SGR 1935+2154", "Method"):
        assert page.get_by_label(title, exact=True).count() == 1
    for words in ("Sky image: Significance, 28-80 keV", "Light curve: SGR 1935+2154", "Spectrum: counts"):
        assert page.get_by_role("figure", name=words).count() == 1
    assert page.get_by_role("figure").count() == page.locator(".bk-Figure").count()
    assert page.get_by_role("slider", name="Upper energy of the band").count() == 1
    assert page.evaluate(PALE, LEAST_CONTRAST) == []
    readable, paper = contrast(page.locator(".oda-spectrum .bk-Figure").screenshot())
    assert readable > LEAST_CONTRAST
    assert paper > 0.8
    keep(page, "light")

    page.get_by_role("link", name="Dark page").click()
    page.get_by_role("link", name="Light page").wait_for()
    results(page)
    assert page.evaluate(PALE, LEAST_CONTRAST) == []
    for place in (".oda-spectrum", ".oda-light-curve"):
        readable, paper = contrast(page.locator(f"{place} .bk-Figure").screenshot())
        assert readable > LEAST_CONTRAST
        assert paper < 0.05
    keep(page, "dark")


def test_the_keyboard_alone_asks_for_an_image(app, page):
    page.goto(f"{app.url}?scw_list={SCW}")
    page.get_by_label("Energy bands [keV]", exact=True).wait_for()
    page.get_by_label("Energy bands [keV]", exact=True).focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("30-70")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Image":
            break
    page.keyboard.press("Enter")
    page.locator(".oda-sources td", has_text="30-70").first.wait_for(timeout=120_000)
