"""What every page has to be: quiet, self-contained, light, and readable by everyone on a phone."""

import gzip
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlparse

import axe
import pytest

MOST_BYTES = 200_000
PICTURES = {".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp", ".ico"}
PACKED = {".woff", ".woff2"}
PHONE = {"width": 360, "height": 740}
# What sticks out of a page that is too wide, unless something around it scrolls.
WIDE = """() => {
  const room = document.documentElement.clientWidth;
  const kept = element => {
    for (let e = element.parentElement; e && !e.matches('.content, body'); e = e.parentElement) {
      if (getComputedStyle(e).overflowX !== 'visible') return true;
    }
    return getComputedStyle(element).position === 'fixed';
  };
  const wide = [...document.querySelectorAll('main *, .main *, footer *')]
    .filter(e => e.getBoundingClientRect().right > room + 1 && !e.closest('.katex-mathml'))
    .filter(e => !e.closest('.toc-drawer, .sidebar-drawer') && !kept(e));
  const page = document.documentElement.scrollWidth > room ? [document.documentElement] : [];
  return [...page, ...wide.slice(0, 3)].map(e => `${e.tagName}.${e.getAttribute('class')}`);
}"""


@cache
def weight(path: Path) -> int:
    """How many bytes a server sends for a file."""
    content = path.read_bytes()
    return len(content) if path.suffix in PACKED else len(gzip.compress(content, 6))


def loaded(page, address: str, html: Path) -> dict[str, int]:
    """The files a page asked for, pictures apart, and what each weighs."""
    paths = {html / unquote(urlparse(url).path).lstrip("/") for url in page.asked}
    return {
        path.relative_to(html).as_posix(): weight(path)
        for path in paths
        if path.is_file() and path.suffix not in PICTURES
    }


def test_page(page, address, html, page_name):
    """Quiet, from one place, light, without a violation in either theme, and not too wide."""
    page.goto(address + page_name)
    found = [f"complains: {complaint}" for complaint in page.complaints]
    found += [f"asks for {url}" for url in page.asked if not url.startswith((address, "data:"))]
    weights = loaded(page, address, html)
    total = sum(weights.values())
    if total > MOST_BYTES:
        heaviest = sorted(weights.items(), key=lambda entry: -entry[1])[:4]
        found.append(f"weighs {total:,} bytes: {heaviest}")
    found += [f"light: {violation}" for violation in axe.violations(page)]
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {violation}" for violation in axe.violations(page, axe.COLOURS)]
    page.set_viewport_size(PHONE)
    found += [f"wider than a phone: {what}" for what in page.evaluate(WIDE)]
    assert not found, "\n".join(found)


def test_what_is_wrong_is_noticed(page, address):
    """One faint word among hundreds of its kind, a field without a name, a line too long."""
    page.goto(address + "gallery/mathematics/plot_sine_of_a_square.html")
    page.evaluate("""() => {
      const words = document.querySelectorAll('.highlight .n');
      words[Math.floor(words.length / 3)].style.color = '#bbb';
      const prose = document.querySelector('article section section > p');
      prose.insertAdjacentHTML('beforeend', '<input>');
      prose.insertAdjacentHTML('afterend', '<p style="width: 99rem">long</p>');
    }""")
    found = axe.violations(page)
    assert sorted(violation.split()[0] for violation in found) == ["color-contrast", "label"]
    assert "rgb(187, 187, 187)" in min(found)
    page.set_viewport_size(PHONE)
    assert "P.null" in page.evaluate(WIDE)


PAPER = {"width": 680, "height": 1009}  # A4 without the margins that book.css leaves, in pixels
PRINTED = (
    "index.html",
    "graph/two_layer_mlp.html",
    "gallery/graph/plot_two_layer_mlp.html",
    "gallery/memory/plot_two_passes_side_by_side.html",
    "reference/error_index.html",
    "reference/truth_tables.html",
    "operators/products.html",
)
# What is there to be pressed, or to find one's way with.
PRESSED = (
    "button, form, .sidebar-drawer, .toc-drawer, .mobile-header, .related-pages, .skip-to-content"
)


@pytest.mark.parametrize("name", PRINTED)
def test_a_page_can_be_printed(page, address, name):
    """On paper, in a dark theme: black on white, nothing cut off, no button, no empty pages."""
    page.set_viewport_size(PAPER)
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(address + name)
    assert page.evaluate(WIDE) == []
    assert not page.evaluate(
        "what => [...document.querySelectorAll(what)].filter(e => e.checkVisibility())"
        ".map(e => e.outerHTML.slice(0, 80))",
        PRESSED,
    )
    ground, ink = page.evaluate("""() => {
      const {backgroundColor, color} = getComputedStyle(document.body);
      return [backgroundColor, color].map(found => found.match(/\\d+/g).slice(0, 3).map(Number));
    }""")
    assert ground == [255, 255, 255]
    assert max(ink) < 100
    height = page.evaluate("document.documentElement.scrollHeight")
    pages = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4", prefer_css_page_size=True)))
    # A drawing moves to the next page where it does not fit; more than that is a gap.
    fewest = height / PAPER["height"]
    assert 0.6 * fewest <= pages <= 1.25 * fewest + 2
