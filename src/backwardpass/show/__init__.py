"""Every way to show a graph or a pass: text, tables, DOT, SVG; needs no torch."""
