"""Say how large the pictures of the gallery are, so that a page does not jump when they arrive."""

import re
import struct
from functools import cache
from pathlib import Path

from sphinx.application import Sphinx

from press import project

IMAGE = re.compile(r'<img (?=[^>]*src="[^"]*/?_images/(sphx_glr_[^"/]+\.png)")(?![^>]*\bwidth=)')


def size(png: bytes) -> tuple[int, int]:
    """Width and height, as a PNG begins with them.

    >>> size(b"\\x89PNG\\r\\n\\x1a\\n" + bytes.fromhex("0000000d 49484452 00000280 000001e0"))
    (640, 480)
    """
    return struct.unpack(">II", png[16:24])


def sized(body: str, folder: Path) -> str:
    """The body of a page, its pictures from ``folder`` with their sizes; thumbnails may be late."""

    def told(image: re.Match) -> str:
        found = _pictures(folder).get(image[1])
        if found is None:
            return image[0]
        with found.open("rb") as file:
            width, height = size(file.read(24))
        late = 'loading="lazy" ' if image[1].endswith("_thumb.png") else ""
        return f'<img width="{width}" height="{height}" {late}'

    return IMAGE.sub(told, body)


@cache
def _pictures(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.rglob("sphx_glr_*.png")}


def tell(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Say how large each picture is, so that nothing moves when it has come."""
    if doctree is not None:
        context["body"] = sized(context["body"], project.GALLERY)
