"""Processes that run scripts and read pages, and have torch from the moment they start.

Importing torch takes as long as several scripts take to run.  Where a process can be forked after
that, it is imported once, in the process that forks, and never where nothing is executed; the
scripts of the whole gallery are then one queue, where sphinx-gallery's own workers import torch
each, and wait for one another at the end of each part.
"""

import gc
import multiprocessing
import os
import re
import signal
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx_gallery import gen_rst

from press import fences, project
from press.gallery import executed
from press.observed import store

logger = logging.getLogger(__name__)

# Elsewhere a fork of a process that has torch is not safe, or there is none.
CAN_FORK = sys.platform == "linux"
# ... and with fewer scripts to run, importing torch in each worker takes longer than it saves.
ENOUGH_TO_IMPORT_TORCH = 16
# With as many scripts or pages as this, some process after another would import torch's compiler.
ENOUGH_FOR_OPTIMIZERS = 8


@cache
def preload(*, optimizers: bool = False) -> None:
    """Import what scripts and examples need, for the processes forked from this one.

    The first optimizer or checkpoint of a process makes torch import its compiler, which takes as
    long again: ``optimizers`` does that now.
    """
    import matplotlib.pyplot  # noqa: F401
    import torch

    from press.watch import observation  # noqa: F401

    if optimizers:
        torch.optim.SGD([torch.zeros(1)])
    settle()


def settle() -> None:
    """Let the garbage collector pass over what is alive now, which stays alive.

    It walked through all of Sphinx and torch again and again, for a third of a build's time.
    """
    gc.collect()
    gc.freeze()


def collect_rarely() -> None:
    """Let pages be read and written with few collections: they are trees that all stay alive."""
    gc.set_threshold(50_000, 20, 50)


def collect_as_usual() -> None:
    """Let a script find the garbage collector as any Python has it."""
    gc.set_threshold(700, 10, 10)


class Crew:
    """Forked processes that run scripts, while this one does what sphinx-gallery does with them.

    Called like ``sphinx_gallery.gen_rst.generate_file_rst``, in whose place it stands from
    :meth:`start` to :meth:`dismiss`.  A script whose process dies is reported, and the others go on
    in new processes.
    """

    def __init__(self, scripts: list[Path], jobs: int, gallery_conf: dict):
        self._scripts = scripts
        self._jobs = jobs
        self._gallery_conf = gallery_conf
        self._alone = gen_rst.generate_file_rst
        self._context = multiprocessing.get_context("fork")
        # Which process is on which script; shared, so that it is known of one that has died.
        self._on = self._context.RawArray("l", len(scripts))
        self._running: dict[Path, Future] = {}
        self._died: dict[Path, str] = {}

    def start(self) -> None:
        """Fork, and begin to run the scripts in the order given."""
        global _crew
        preload(optimizers=len(self._scripts) >= ENOUGH_FOR_OPTIMIZERS)
        _crew = self  # the forks find it: a configuration cannot be sent to them
        gen_rst.generate_file_rst = self
        self._hire(self._scripts)

    def __call__(self, fname: str, target_dir: Path, src_dir: Path, gallery_conf: dict) -> tuple:
        """What sphinx-gallery wants to know of a script, from the process that ran it."""
        script = Path(src_dir, fname).resolve()
        if script not in self._running:
            return self._alone(fname, target_dir, src_dir, gallery_conf)
        while script not in self._died:
            try:
                result, records = self._running[script].result()
            except BrokenProcessPool:
                self._replace()
                continue
            except BaseException:
                self.dismiss()
                raise
            del self._running[script]
            for record in records:
                logger.handle(record)
            return result
        del self._running[script]
        report_crash(f"examples/{project.name(script)}.py:1", "script", self._died[script])
        unexecuted = {**gallery_conf, "filename_pattern": "$^"}
        return self._alone(fname, target_dir, src_dir, unexecuted)

    def run(self, script: Path) -> tuple[tuple, list]:
        """In a fork: run a script; the result, and what was logged meanwhile."""
        place = self._scripts.index(script)
        self._on[place] = os.getpid()
        target = (project.GALLERY / script.relative_to(project.EXAMPLES)).parent
        target.mkdir(parents=True, exist_ok=True)
        collector = logging.LogCollector()
        with collector.collect():
            result = self._alone(script.name, target, script.parent, self._gallery_conf)
        logging.convert_serializable(collector.logs)
        gc.freeze()  # sphinx-gallery has just collected, and does so again for the next script
        self._on[place] = 0
        return result, collector.logs

    def dismiss(self) -> None:
        """Wait for every process to end: one that still has threads must not be forked again."""
        global _crew
        self._pool.shutdown(cancel_futures=True)
        gen_rst.generate_file_rst = self._alone
        _crew = None

    def _hire(self, scripts: list[Path]) -> None:
        jobs = max(1, min(self._jobs, len(scripts)))
        self._pool = ProcessPoolExecutor(jobs, mp_context=self._context)
        self._running |= {script: self._pool.submit(_run, script) for script in scripts}
        self._processes = dict(self._pool._processes)

    def _replace(self) -> None:
        """After a process died: note on which script, and let new ones run what is left."""
        self._pool.shutdown(cancel_futures=True)
        on = dict(zip(self._scripts, self._on, strict=True))
        codes = {pid: process.exitcode for pid, process in self._processes.items()}
        # The others were terminated by the pool; where that was the cause, it was for each.
        guilty = {pid for pid, code in codes.items() if code != -signal.SIGTERM} or set(codes)
        for script, pid in on.items():
            if pid in guilty:
                self._died[script] = ended(codes[pid])
        self._on[:] = [0] * len(self._scripts)
        left = [s for s, run in self._running.items() if s not in self._died and not _done(run)]
        self._hire(left)


def _done(running: Future) -> bool:
    return running.done() and not running.cancelled() and running.exception() is None


def ended(code: int | None) -> str:
    """How a process ended that did not end by itself.

    >>> ended(-11), ended(7)
    ('by SIGSEGV', 'with status 7')
    """
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with status {code}"


def report_crash(place: str, on: str, how: str) -> None:
    """Report that a process ended before what it was on did."""
    logger.warning(
        "the process ended %s before its %s did, by a crash or for want of memory",
        how,
        on,
        location=place,
        type="gate",
        subtype="crash",
    )


_crew: Crew | None = None


def _run(script: Path) -> tuple[tuple, list]:
    return _crew.run(script)


def hire(app: Sphinx) -> None:
    """Before the gallery is generated: start to run what has to run, never in this process.

    Pages are read in forks of this one, and a fork of a process that has used autograd's engine
    crashes in nested passes.
    """
    jobs = int(os.environ.get("BACKWARDPASS_JOBS", "1"))
    conf = app.config.sphinx_gallery_conf
    scripts = [s for s in store.outdated() if re.search(conf["filename_pattern"], str(s))]
    if CAN_FORK and scripts:
        Crew(scripts, jobs, conf).start()
    elif not CAN_FORK:
        # Set here and not in conf.py: it is no part of the settings that make pages outdated.
        conf["parallel"] = jobs if jobs > 1 and len(scripts) >= ENOUGH_TO_IMPORT_TORCH else False


def release(app: Sphinx) -> None:
    """After the gallery is generated."""
    if _crew is not None:
        _crew.dismiss()


def ready(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Before pages are read, by forks of this process where there are many."""
    pages = [Path(env.doc2path(name)) for name in docnames]
    executing = sum(map(fences.executes, pages))
    if CAN_FORK and executing:
        preload(optimizers=executing >= ENOUGH_FOR_OPTIMIZERS)
    if any(fence.name == "code-cell" for page in pages for fence in fences.of(page)):
        open_cache(app.config.nb_execution_cache_path)


def open_cache(folder: str) -> None:
    """Make the database of executed cells: of two readers that begin to, one fails.

    What is kept there and damaged is dropped first.
    """
    from jupyter_cache import get_cache

    damaged = executed.check(Path(folder))
    if damaged:
        logger.info("%s was damaged: what was executed of the cells is executed again", damaged)

    get_cache(folder).db.dispose()


def setup(app: Sphinx) -> None:
    # sphinx-gallery generates at the default priority, 500; at 400 what is stale is dropped.
    collect_rarely()
