"""The colours of drawings: the same in the book, in a file of their own, and beside each other."""

from pathlib import Path

import pytest
import yaml

from backwardpass.show.palette import COLOURS, PARTS

CONFIG = Path(__file__).resolve().parents[3] / "conf" / "_config.yml"


@pytest.mark.parametrize("name", COLOURS)
def test_a_drawing_outside_the_book_has_the_book_s_colours(name):
    """What a part falls back on without CSS variables is what pages set for daylight."""
    options = yaml.safe_load(CONFIG.read_text("utf-8"))["sphinx"]["config"]["html_theme_options"]
    value = options["light_css_variables"][name.removeprefix("--")]
    # The page's background is the theme's, which is white.
    assert COLOURS[name] == ("#ffffff" if value == "var(--color-background-primary)" else value)


def test_every_colour_is_used_and_every_part_has_one():
    """No colour is there that no part takes, and no part takes one that is not there."""
    assert {name for part in PARTS.values() for name in part.values()} == set(COLOURS)
