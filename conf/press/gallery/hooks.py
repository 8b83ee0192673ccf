"""Observe the scripts while sphinx-gallery runs them, and fail the build for what is wrong.

sphinx-gallery calls :func:`reset` before and after each script and :func:`scrape` after each
block, in whichever process runs the script; what was seen crosses to this process, and to the
next build, as the script's sidecar.
"""

import contextlib
import functools
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx_gallery import gen_gallery, gen_rst

from press import intact, project
from press.gallery import crew
from press.observed import store
from press.observed.failure import Failure

logger = logging.getLogger(__name__)

# The observation of the script that this process is running, if it is running one.
_current = None


class Noted(gen_rst._LoggingTee):
    """What a block prints, for its page, and for the observation of its script."""

    def write(self, data: str) -> None:
        super().write(data)
        if _current is not None:
            _current.printed.append(data)


def reset(gallery_conf: dict, fname: str | None, when: str) -> None:
    """Hook of sphinx-gallery, around each script (``fname`` is its bare file name)."""
    global _current
    if fname is None:
        return
    # torch is imported only where something is executed.
    from press.watch import observation

    script = next(project.EXAMPLES.rglob(Path(fname).name)).resolve()
    if when == "before":
        crew.preload()
        crew.collect_as_usual()
        _forget(script)
        observation.reset()
        _current = observation.Observation(script)
        _current.start()
        return
    finished, _current = _current, None
    # sphinx-gallery leaves this file exactly when the script ran to its end.
    completed = _md5(script).exists()
    try:
        observed = finished.finish(completed=completed)
    finally:
        observation.reset()
        crew.collect_rarely()
    _undate(_generated(script).with_suffix(".zip"))
    store.write(script, observed)
    intact.remember(_kept(script), _made(script))


def figures(block, block_vars: dict, gallery_conf: dict) -> str:
    """sphinx-gallery's own scraper of Matplotlib's figures, imported when a script has run.

    Named in the configuration as "matplotlib" it would be imported by every build.
    """
    from sphinx_gallery.scrapers import matplotlib_scraper

    shown = matplotlib_scraper(block, block_vars, gallery_conf)
    # What a reader who cannot see the figure is told: more than the name of the script.
    title = _cell_title(block, Path(block_vars["src_file"]).read_text("utf-8"))
    shown = re.sub(r"(?m)^(\s*:alt:).*$", lambda found: f"{found.group(1)} Figure: {title}", shown)
    # In a frame of its own: on a phone a figure shrinks as far as it can be read, then scrolls.
    return f"\n.. container:: bp-frame\n\n{indent(shown, '   ')}\n" if shown.strip() else ""


def scrape(block, block_vars: dict, gallery_conf: dict) -> str:
    """Hook of sphinx-gallery, after each block: what to show below the block's output."""
    import torch

    if _current is None:
        return ""
    shown = ""
    name = project.name(_current.script)
    values = block_vars["example_globals"]
    last = values.get("___")
    # sphinx-gallery keeps the value of a block's last expression, and with it a graph which the
    # script may have dropped: take it away, whatever it is.
    values["___"] = None
    # A node of PyTorch's, or one of an engine that a script builds after its model.
    if hasattr(last, "next_functions") and hasattr(last, "_sequence_nr"):
        line = block.lineno + block.content.rstrip().count("\n")
        number = _current.draw(last, values, _cell_title(block, _current.source), line)
        shown += f"\n.. backward-graph:: {name}\n   :graph: {number}\n"
        if isinstance(last, torch.autograd.graph.Node):
            shown += f"\n.. backward-table:: {name}\n   :graph: {number}\n"
    del last
    lines = range(block.lineno, block.lineno + block.content.count("\n") + 1)
    _current.passed(lines[-1])
    if any(comparison.line in lines for comparison in _current.ledger):
        shown += f"\n.. verified:: {name}\n   :lines: {lines[0]}-{lines[-1]}\n"
    return shown


def prepare(app: Sphinx) -> None:
    """Before the gallery is generated: drop what is stale, so that it is made again."""
    for orphan in project.remove_orphans():
        logger.info("removed %s: its script is gone", orphan.relative_to(project.ROOT))
    for script in project.scripts():
        damaged = intact.damaged(_kept(script))
        if damaged:
            logger.info("%s was damaged: its script runs again", damaged[0])
        if damaged is None or damaged:  # ... as it does where nothing says that it is whole
            store.path(script).unlink(missing_ok=True)
    for script in store.outdated():
        _md5(script).unlink(missing_ok=True)


def report(app: Sphinx) -> None:
    """After the gallery is generated: a warning, hence a failed build, for every gate."""
    crashed = app.config.sphinx_gallery_conf["failing_examples"]
    for script in project.scripts():
        observed = store.read(script)
        failures = [] if observed is None else list(observed.failures)
        trace = crashed.get(str(script))
        if trace:
            raised = _raised(script, trace)
            # A comparison that raised is told already, and better.
            if all(f.gate != "diverges" or f.line != raised.line for f in failures):
                failures.append(raised)
        for failure in failures:
            logger.warning(
                "%s",
                failure.message,
                location=f"{failure.script}:{failure.line or 1}",
                type="gate",
                subtype=failure.gate,
            )


def without_toctrees(app: Sphinx, docname: str, source: list[str]) -> None:
    """Drop the toctrees sphinx-gallery writes: conf/_toc.yml alone says what follows what."""
    if docname == "gallery/index":
        source[0] = re.sub(r"^\.\. toctree::\n(?:[ \t]+\S.*\n|\n)*", "", source[0], flags=re.M)


def without_tags(app: Sphinx, docname: str, source: list[str]) -> None:
    """Drop the places for tags, which no script has: every part has one, all with the same id."""
    if docname == "gallery/index":
        place = r"^\.\. raw:: html\n\n[ ]+<div id='sg-tag-list'.*\n"
        source[0] = re.sub(place, "", source[0], flags=re.M)


def _raised(script: Path, trace: str) -> Failure:
    """The failure of a script that raised what none of its comparisons explains."""
    lines = re.findall(rf'File "{re.escape(str(script))}", line (\d+)', trace)
    last = re.search(r"^(?!Traceback)\S.*", trace.strip(), re.MULTILINE | re.DOTALL).group()
    where = script.relative_to(project.ROOT).as_posix()
    return Failure(where, int(lines[-1]) if lines else None, "raises", f"raises {last}")


def _cell_title(block, source: str) -> str:
    """The title of the cell that ``block`` belongs to: the nearest one above it."""
    above = "\n".join(source.splitlines()[: block.lineno])
    titles = re.findall(r"^# (.+)\n# [-=~]{3,}$", above, re.MULTILINE)
    return titles[-1] if titles else "Graph"


def _generated(script: Path) -> Path:
    return project.GALLERY / script.relative_to(project.EXAMPLES)


def _kept(script: Path) -> Path:
    """Where the digests of what was made of a script are kept."""
    return _generated(script).with_suffix(".kept.json")


def _made(script: Path) -> list[Path]:
    """What was made of a script: its page, downloads, observation and pictures."""
    generated = _generated(script)
    made = [generated.with_suffix(suffix) for suffix in (".rst", ".py", ".ipynb", ".zip")]
    pictures = generated.parent.joinpath("images").rglob(f"sphx_glr_{script.stem}_*")
    own = re.compile(rf"sphx_glr_{re.escape(script.stem)}_(\d+|thumb)\.\w+")
    made += [path for path in pictures if own.fullmatch(path.name)]
    return [path for path in [*made, store.path(script)] if path.is_file()]


def _md5(script: Path) -> Path:
    """The file by which sphinx-gallery remembers that it ran this source successfully."""
    generated = _generated(script)
    return generated.with_name(f"{generated.name}.md5")


def _undate(archive: Path) -> None:
    """Write ``archive`` again without the times of its files: one commit, one archive."""
    with zipfile.ZipFile(archive) as dated:
        contents = {name: dated.read(name) for name in sorted(dated.namelist())}
    with zipfile.ZipFile(archive, "w") as undated:
        for name, content in contents.items():
            # ZipInfo's own time is the first of January 1980.
            undated.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _forget(script: Path) -> None:
    """Remove what an earlier run left: its sidecar, its mark of success and its images."""
    store.path(script).unlink(missing_ok=True)
    _md5(script).unlink(missing_ok=True)
    images = _generated(script).parent / "images"
    for image in images.rglob(f"sphx_glr_{script.stem}_*"):
        # The thumbnail of a script that failed says so, and would be kept.
        if re.fullmatch(rf"sphx_glr_{script.stem}_(\d+|thumb)", image.stem):
            image.unlink()


def parts(contents: str) -> list[str]:
    """The parts of the gallery, in the order of a table of contents.

    >>> parts("- glob: gallery/graph/plot_*\\n- glob: gallery/engine/plot_*")
    ['graph', 'engine']
    """
    return re.findall(r"^\s*- glob: gallery/(\w+)/", contents, re.MULTILINE)


def order(app: Sphinx, config: Config) -> None:
    """Let the gallery's own page list its parts as the table of contents does."""
    listed = parts((project.CONF / "_toc.yml").read_text("utf-8"))
    folders = [f"../{project.EXAMPLES.name}/{part}" for part in listed]
    # A part that the contents lack is reported as a page that is in none of them.
    config.sphinx_gallery_conf["subsection_order"] = [*folders, "*"]


@contextlib.contextmanager
def reaching_the_end() -> Iterator[None]:
    """Raise, for a block that ends its process, what sphinx-gallery reports as a failure.

    >>> with reaching_the_end():
    ...     quit()
    Traceback (most recent call last):
    RuntimeError: SystemExit(None) was raised; a script has to reach its last line
    """
    try:
        yield
    except SystemExit as left:
        said = f"SystemExit({left.code!r}) was raised; a script has to reach its last line"
        raise RuntimeError(said).with_traceback(left.__traceback__) from None


def _not_leaving(block: Callable[[object], None]) -> Callable[[object], None]:
    @functools.wraps(block)
    def run(self: object) -> None:
        with reaching_the_end():
            block(self)

    return run


def setup(app: Sphinx) -> None:
    # What a block runs through: sphinx-gallery lets SystemExit end the whole build.
    if not hasattr(gen_rst._exec_once.__call__, "__wrapped__"):
        gen_rst._exec_once.__call__ = _not_leaving(gen_rst._exec_once.__call__)
    # Every build would import Matplotlib, half of the time a build takes that changes nothing;
    # the scraper imports it when there is a script to run.
    gen_gallery._import_matplotlib = lambda: None
    gen_rst._LoggingTee = Noted
