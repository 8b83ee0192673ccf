"""Say that a build reached its end, and what it compared."""

from pathlib import Path

from sphinx.application import Sphinx

from press.observed.totals import Totals, observations


def mark(app: Sphinx, exception: Exception | None) -> None:
    """Write the totals beside the pages; the file's presence proves that the whole build ran."""
    if exception is None:
        totals = Totals.of(observations())
        Path(app.outdir).with_name("finished").write_text(str(totals), "utf-8")
