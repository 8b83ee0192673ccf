"""The steps of a build, in their order: read this file from top to bottom.

Sphinx calls what is connected to an event by its priority, and at the same priority in the order of
connecting.  Nothing of the press connects anywhere else, so this table is that order.  Where a step
has to come before or after somebody else's, it has a priority, with the reason beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from press import fences, keys
from press.gallery import crew, executed, hooks, thumbnails
from press.page import (
    assets,
    citations,
    code_lines,
    counts,
    deep_links,
    description,
    docstrings,
    doctests,
    footer,
    images,
    mathematics,
    reading_time,
    rules,
    solutions,
    sources,
    terms,
)
from press.publish import finished, highlighting, inventory, readers, side_by_side, sitemap
from press.show import (
    answers,
    claim,
    claims,
    errors,
    fates,
    graphs,
    mutation_figure,
    older,
    operators,
    truth_table,
    verified,
)

# What Sphinx has when nobody asks for another.
USUAL = 500


@dataclass(frozen=True)
class Step:
    """One function that Sphinx calls at an event.

    Parameters
    ----------
    event
        The event of Sphinx, or of one of its extensions.
    function
        What is called.
    priority
        The lower, the earlier; the reason stands beside it in the table.
    """

    event: str
    function: Callable
    priority: int = USUAL

    def __str__(self) -> str:
        module = self.function.__module__.removeprefix("press.")
        return f"{self.event}: {module}.{self.function.__name__}"


STEPS = (
    # Settings are read.
    Step("config-inited", hooks.order, 5),  # sphinx-gallery reads its own at 10
    Step("config-inited", assets.join_styles),  # Sphinx looks for the folder at 800
    Step("config-inited", inventory.write, 700),  # intersphinx reads its mapping at 800
    # Scripts run: sphinx-gallery generates their pages at 500.
    Step("builder-inited", hooks.prepare, 400),  # what is stale is dropped first
    Step("builder-inited", crew.hire, 450),
    Step("builder-inited", rules.check_docstrings),
    Step("builder-inited", errors.prepare),
    Step("builder-inited", crew.release, 550),
    Step("builder-inited", hooks.report, 600),
    # Which pages are to be read again, though nobody changed them.
    Step("env-get-outdated", sources.outdated),
    Step("env-get-outdated", claims.outdated),
    Step("env-get-outdated", claim.examine),
    Step("env-get-outdated", verified.outdated),
    Step("env-get-outdated", thumbnails.outdated),
    Step("env-get-outdated", truth_table.outdated),
    Step("env-get-outdated", mutation_figure.outdated),
    Step("env-get-outdated", older.outdated),
    Step("env-get-outdated", operators.examine),
    Step("env-get-outdated", fates.outdated),
    Step("env-get-outdated", terms.outdated),
    # Before processes are forked that read pages.
    Step("env-before-read-docs", claims.remember),
    Step("env-before-read-docs", crew.ready),
    Step("env-purge-doc", claim.purge),
    Step("env-purge-doc", errors.purge),
    # A page is read: its source, ...
    Step("source-read", readers.note, 1),  # a process that dies from here on was on this page
    Step("source-read", operators.expand, 400),  # before the gates look at the source
    Step("source-read", fates.expand, 400),
    Step("source-read", hooks.without_toctrees),
    Step("source-read", hooks.without_tags),
    Step("source-read", rules.check_source),
    # ... signatures of the package's reference, ...
    Step("autodoc-process-signature", docstrings.public_signature),
    Step("autodoc-process-docstring", docstrings.summary_sections, 900),  # napoleon is done
    # ... and the tree that was made of it.
    Step("doctree-read", solutions.tell_apart),
    Step("doctree-read", solutions.let_go),
    Step("doctree-read", answers.check_solutions),
    Step("doctree-read", thumbnails.note),
    Step("doctree-read", code_lines.number_script),
    Step("doctree-read", doctests.test_page),
    Step("doctree-read", reading_time.count),
    Step("doctree-read", operators.remember),
    Step("doctree-read", terms.link),
    Step("doctree-read", errors.collect),
    Step("doctree-read", docstrings.unmarked),
    Step("doctree-read", sources.remember, 900),  # all that the page depends on is known
    # What several readers found is put together.
    Step("env-merge-info", claim.merge),
    Step("env-merge-info", errors.merge),
    Step("env-updated", claims.written_anew),
    Step("env-updated", claim.listed),
    Step("env-updated", errors.list_again),
    Step("env-check-consistency", claims.check),
    Step("env-check-consistency", claim.check),
    # A page is written: places that only the whole book knows, ...
    Step("doctree-resolved", claims.put_places),
    Step("doctree-resolved", claim.resolve),
    Step("doctree-resolved", errors.fill),
    # ... and what its template is given.
    Step("html-page-context", readers.note_written, 1),  # as where it is read
    Step("html-page-context", thumbnails.show),
    Step("html-page-context", counts.add_line),
    Step("html-page-context", deep_links.link),
    Step("html-page-context", citations.relabel),
    Step("html-page-context", description.add_description),
    Step("html-page-context", images.tell),
    Step("html-page-context", rules.check_page),
    Step("html-page-context", footer.add_foot),
    Step("html-page-context", docstrings.parameters_by_line),
    Step("html-page-context", assets.drop_unused, 900),  # everybody has asked for what is needed
    # The end.
    Step("build-finished", mathematics.stop),
    Step("build-finished", sitemap.write),
    Step("build-finished", errors.publish),
    Step("build-finished", executed.remember),
    Step("build-finished", highlighting.spare_drawings),
    Step("build-finished", finished.mark, 999),  # its file proves that the whole build ran
)

# What registers roles, nodes, builders and settings; directives are declared above their classes.
# A page asks for the scripts of these modules in this order.
MODULES = (
    inventory,
    mathematics,
    solutions,
    answers,
    claims,
    claim,
    hooks,
    crew,
    graphs,
    code_lines,
    assets,
    doctests,
    footer,
    readers,
    side_by_side,
    reading_time,
    errors,
    docstrings,
)


def setup(app: Sphinx) -> dict:
    """Register what every module has, and connect every step."""
    # When what makes pages changes, every page is read again.
    app.add_config_value("pages_key", keys.pages(), "env", str)
    connect, add_directive = app.connect, app.add_directive
    app.connect = _refusing(connect)
    app.add_directive = _declared(add_directive)
    try:
        for module in MODULES:
            module.setup(app)
    finally:
        del app.connect, app.add_directive
    fences.declared()  # imports what declares them
    for name, directive in fences.DIRECTIVES.items():
        app.add_directive(name, directive)
    for step in STEPS:
        app.connect(step.event, step.function, step.priority)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _refusing(connect: Callable) -> Callable:
    """Stand in for ``app.connect`` while modules register: the press connects by the table only."""

    def connected(event: str, function: Callable, priority: int = USUAL) -> int:
        if function.__module__.startswith("press."):
            raise ExtensionError(
                f"{function.__module__} connects {function.__name__} to {event} by itself; add "
                f'Step("{event}", ...) to STEPS in press/timeline.py instead, where its turn is'
            )
        return connect(event, function, priority)

    return connected


def _declared(add_directive: Callable) -> Callable:
    """Stand in for ``app.add_directive`` meanwhile: a directive of the press says what it needs."""

    def added(name: str, directive: type, override: bool = False) -> None:
        if directive.__module__.startswith("press."):
            raise ExtensionError(
                f"{directive.__module__} adds the directive {name} and does not say what it needs; "
                f'write @fences.directive("{name}", fences.Needs(...)) above its class instead'
            )
        add_directive(name, directive, override)

    return added
