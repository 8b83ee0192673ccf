"""Watching one script run: its comparisons, its graphs and passes, its lines, and the replay."""
