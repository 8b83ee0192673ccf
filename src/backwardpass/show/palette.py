"""The colours of drawings: the CSS variable each takes in a page, and its value without one.

The book's pages set the variables to these values, and to others in the dark.
"""

COLOURS = {
    "--bp-background": "#ffffff",
    "--bp-operation-fill": "#e9f0fa",
    "--bp-operation-line": "#4a74b4",
    "--bp-accumulate-fill": "#fdf3df",
    "--bp-accumulate-line": "#a06c10",
    "--bp-function-fill": "#f2eafa",
    "--bp-function-line": "#7a4fae",
    "--bp-badge-fill": "#ffffff",
    "--bp-edge-line": "#66717f",
    "--bp-text": "#1c2530",
    "--bp-note": "#4d5865",
}

# Each part of a drawing: its properties, and the colour of each.
PARTS = {
    ".bp-operation .bp-box": {"fill": "--bp-operation-fill", "stroke": "--bp-operation-line"},
    ".bp-accumulate .bp-box": {"fill": "--bp-accumulate-fill", "stroke": "--bp-accumulate-line"},
    ".bp-accumulate .bp-band": {"fill": "--bp-accumulate-line"},
    ".bp-function .bp-box": {"fill": "--bp-function-fill", "stroke": "--bp-function-line"},
    ".bp-badge": {"fill": "--bp-badge-fill", "stroke": "--bp-edge-line"},
    ".bp-line": {"stroke": "--bp-edge-line"},
    ".bp-head": {"fill": "--bp-edge-line"},
    ".bp-text": {"fill": "--bp-text"},
    ".bp-note": {"fill": "--bp-note"},
    ".bp-halo": {"stroke": "--bp-background"},
}


def style() -> str:
    """Write the rules of a drawing's style sheet, which follow the page's variables."""
    return "".join(
        f".bp-graph {part}{{"
        + "".join(f"{name}:var({colour},{COLOURS[colour]});" for name, colour in values.items())
        + "}"
        for part, values in PARTS.items()
    )


def attributes(*parts: str) -> str:
    """Write the colours as attributes, for programs that know no CSS variables.

    >>> attributes(".bp-badge")
    ' fill="#ffffff" stroke="#66717f"'
    """
    values = {name: COLOURS[colour] for part in parts for name, colour in PARTS[part].items()}
    return "".join(f' {name}="{value}"' for name, value in values.items())
