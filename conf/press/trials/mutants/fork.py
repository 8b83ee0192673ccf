"""Run something in a forked child and learn only how it ended: nothing it does is left behind."""

import os
import resource
import signal
import sys
from collections.abc import Callable

from .mutants import Outcome

# A mutant may ask for any amount of memory: this much more than its parent has, and no more.
MEMORY = 2 << 30


def outcome_of(run: Callable[[], Outcome], limit: float) -> Outcome:
    """What ``run`` returns in a child that may use ``limit`` seconds of processor time.

    The child starts as a copy of this process, so nothing has to be imported or run again.
    Whatever it raises is ``RAISED``; so is a crash of the interpreter.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _child(run, limit)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM)
        return Outcome.TIMED_OUT if late else Outcome.RAISED
    code = os.WEXITSTATUS(status)
    return Outcome(code) if code in iter(Outcome) else Outcome.RAISED


def _child(run: Callable[[], Outcome], limit: float) -> None:
    """Never returns: the child's copy of the parent's stack must not go on."""
    code = Outcome.RAISED
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, limit)
        signal.setitimer(signal.ITIMER_REAL, 20 * limit)  # one that waits uses no processor
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        allowed = _address_space() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        code = run()
    except BaseException:
        code = Outcome.RAISED
    finally:
        os._exit(code)


def _address_space() -> int:
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux
        return 32 << 30
