"""A process that reads or writes pages and dies names the page it was on.

Sphinx gives each process a share of the pages and hears of it when all of them are done; of one
that died it says only that its pipe was closed.
"""

import contextlib
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import sphinx.builders
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.parallel import ParallelTasks

from press.gallery import crew

# As much of a page's name as is kept of the page a process is on.
LONGEST_NAME = 1000


class NamedTasks(ParallelTasks):
    """Processes that share pages; what each is on is known here, though it be killed."""

    def __init__(self, nproc: int):
        super().__init__(nproc)
        self._on: dict[int, Any] = {}

    def add_task(self, task_func: Callable, arg: Any = None, result_func: Any = None) -> None:
        """Start a process, as Sphinx does, with a place to note its page in."""
        shared = multiprocessing.get_context("fork").RawArray("c", LONGEST_NAME)
        self._on[self._taskid] = shared

        def task(*given: Any) -> Any:
            global _place
            _place = shared
            return task_func(*given)

        super().add_task(task, arg, result_func)

    def _join_one(self) -> bool:
        try:
            return super()._join_one()
        except EOFError:
            raise ExtensionError(self._lost()) from None

    def _lost(self) -> str:
        """Report each process that died; what ends the build is said in a sentence."""
        lost = []
        for task, process in self._procs.items():
            if task in self._precvs and not process.is_alive() and process.exitcode:
                page = self._on[task].value.decode() or _pages(self._args[task])
                crew.report_crash(page, "page", crew.ended(process.exitcode))
                lost.append(page)
        return f"a process died on {', '.join(lost)}; the pages it had to do are missing"


def _pages(share: Any) -> str:
    """The pages of a share, in whatever form Sphinx gives them to a process."""
    names = re.findall(r"[\w./-]+", str(share)) if isinstance(share, Iterable) else []
    return ", ".join(names[:8])


_place: Any = None


def note(app: Sphinx, docname: str, source: list[str]) -> None:
    """Before a page is read: note that this process is on it."""
    note_page(docname)


def note_written(
    app: Sphinx, pagename: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Before a page is written: note it."""
    note_page(pagename)


def note_page(page: str) -> None:
    """Keep the name of ``page`` where the process that forked this one finds it."""
    if _place is not None:
        with contextlib.suppress(ValueError):
            _place.value = os.fsencode(page)[: LONGEST_NAME - 1]


def setup(app: Sphinx) -> None:
    # Where Sphinx reads; pages are written by `publish.side_by_side`, which names the class.
    sphinx.builders.ParallelTasks = NamedTasks
