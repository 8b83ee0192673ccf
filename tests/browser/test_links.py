"""Every link within the book leads somewhere, down to the place on the page."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

# A step of a drawing: stepper.js reads it, and it stands below its stepper.
STEP = ":"


class Page(HTMLParser):
    """The places on a page, and where it links to."""

    def __init__(self, path: Path):
        super().__init__()
        self.places, self.links = {""}, set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag in ("a", "link", "script", "img"):
            self.links |= {given[name] for name in ("href", "src") if given.get(name)}


@cache
def read(path: Path) -> Page:
    return Page(path)


def dead(html: Path, name: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in sorted(read(html / name).links):
        parts = urlparse(link)
        if parts.scheme or parts.netloc:
            continue
        path = unquote(parts.path)
        start = html if path.startswith("/") else (html / name).parent
        target = (start / path.lstrip("/")).resolve() if path else html / name
        if target.is_dir():
            target /= "index.html"
        place = unquote(parts.fragment).partition(STEP)[0]
        if not target.is_file() or (
            target.suffix == ".html" and place not in read(target.resolve()).places
        ):
            found.append(link)
    return found


def test_links(html, page_name):
    """Files that are linked to exist, and so do the places on them."""
    assert dead(html, page_name) == []


NEXT, PREVIOUS = (re.compile(rf'<a class="{way}-page" href="([^"]+)"') for way in ("next", "prev"))
# Where the contents stand on every page, and on the gallery's own.
IN_CONTENTS = re.compile(r'<li class="toctree-l\d[^"]*"><a class="[^"]*" href="([^"#]+)"')
IN_GALLERY = re.compile(r'class="sphx-glr-thumbcontainer.*?href="([^"#]+)"', re.DOTALL)


def leading(html: Path, name: str, way: re.Pattern) -> list[str]:
    """Where the links of a page that look so lead, as paths below ``html``."""
    found = way.findall((html / name).read_text("utf-8"))
    folder = (html / name).parent
    reached = ((folder / link).resolve() for link in found)
    return [path.relative_to(html.resolve()).as_posix() for path in reached]


def test_next_and_previous_follow_the_contents(html):
    """From the first page, next leads through all of the contents in order; previous leads back."""
    contents = leading(html, "search.html", IN_CONTENTS)
    walked, name = [], "index.html"
    while onward := leading(html, name, NEXT):
        (following,) = onward
        assert leading(html, following, PREVIOUS) == [name]
        walked.append(following)
        name = following
        assert len(walked) <= len(contents)
    assert walked == contents


def test_the_gallery_is_in_the_order_of_the_contents(html):
    """The gallery's own page shows its scripts as next leads through them."""
    contents = leading(html, "search.html", IN_CONTENTS)
    shown = list(dict.fromkeys(leading(html, "gallery/index.html", IN_GALLERY)))
    assert shown == [name for name in contents if name.startswith("gallery/") and name in shown]
    assert len(shown) > 60


def test_a_dead_link_is_noticed(tmp_path):
    """A missing file and a missing place are told, a place that is there is not."""
    (tmp_path / "a.html").write_text('<a href="b.html#x">1</a><a href="b.html#y">2</a>')
    (tmp_path / "b.html").write_text('<p id="x"></p><a href="c.html">3</a><a href="#x">4</a>')
    assert dead(tmp_path, "a.html") == ["b.html#y"]
    assert dead(tmp_path, "b.html") == ["c.html"]
