"""Graphviz in a process of its own, which can be stopped, and may abort without ending this one."""

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from typing import IO, Any, cast

# What the process runs: it answers one request after the other, until its input ends.
ANSWERS = """
import json, os, sys
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what Graphviz prints is no answer
import pygraphviz
for line in sys.stdin.buffer:
    asked = json.loads(line)
    dot = sys.stdin.buffer.read(asked["size"]).decode()
    try:
        failed, found = "", pygraphviz.AGraph(string=dot).draw(format=asked["format"], prog="dot")
    except Exception as error:
        failed, found = f"{type(error).__name__}: {error}", b""
    answers.write(json.dumps({"size": len(found or b""), "failed": failed}).encode() + b"\\n")
    answers.write(found or b"")
    answers.flush()
"""


class TooLongError(Exception):
    """The process was stopped, because it was not done in time."""


class MissingError(RuntimeError):
    """Neither pygraphviz nor the program `dot` is there."""


class Process:
    """A Python with pygraphviz, started when it is first asked and kept for the next question."""

    def __init__(self, code: str = ANSWERS) -> None:
        self._code = code
        self._running: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, dot: str, form: str, timeout: float) -> bytes:
        """Let Graphviz draw, as ``"json0"`` or as a file's format.

        Raises
        ------
        TooLongError
            If it takes longer than `timeout` seconds.
        RuntimeError
            If Graphviz ends, or says that it cannot.
        """
        with self._lock:
            running = self._start()
            late = threading.Event()

            def stop() -> None:
                late.set()
                running.kill()

            timer = threading.Timer(timeout, stop)
            timer.start()
            try:
                return self._exchange(running, dot.encode(), form)
            except (OSError, ValueError):  # its input or output has ended
                self.close()
                if late.is_set():
                    raise TooLongError from None
                raise RuntimeError("Graphviz ended while it laid the graph out.") from None
            finally:
                timer.cancel()

    def close(self) -> None:
        """End the process, if it runs and is this one's."""
        running, self._running = self._running, None
        if running is None or self._owner != os.getpid():
            return
        running.kill()
        running.wait()
        for pipe in (running.stdin, running.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not written any more
                    pipe.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        """Give the process; a fork of this one starts another of its own."""
        alive = self._running is not None and self._running.poll() is None
        if self._running is None or not alive or self._owner != os.getpid():
            self.close()
            self._owner = os.getpid()
            self._running = subprocess.Popen(
                [sys.executable, "-c", self._code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            atexit.register(self.close)
        return self._running

    @staticmethod
    def _exchange(running: "subprocess.Popen[bytes]", dot: bytes, form: str) -> bytes:
        to, back = cast(IO[bytes], running.stdin), cast(IO[bytes], running.stdout)
        to.write(json.dumps({"size": len(dot), "format": form}).encode() + b"\n" + dot)
        to.flush()
        answer: dict[str, Any] = json.loads(back.readline())
        found = back.read(answer["size"])
        if len(found) < answer["size"]:
            raise ValueError("cut off")
        if answer["failed"]:
            raise RuntimeError(f"Graphviz could not lay the graph out:\n{answer['failed']}")
        return found


PROCESS = Process()


def run(dot: str, timeout: float, form: str = "json0") -> bytes:
    """Let Graphviz draw: the one that pygraphviz carries, or the program `dot`.

    Raises
    ------
    TooLongError
        If it takes longer than `timeout` seconds.
    MissingError
        If neither is there.
    RuntimeError
        If it fails.
    """
    try:
        import pygraphviz  # noqa: F401  # only whether it is there
    except ImportError:
        return _run_program(dot, timeout, form)
    return PROCESS.ask(dot, form, timeout)


def _run_program(dot: str, timeout: float, form: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise MissingError(
            "Drawing a graph needs Graphviz: found neither the Python package pygraphviz nor the "
            "program dot.\n"
            "Run: pip install 'pygraphviz>=2' (its wheels carry Graphviz), or install Graphviz."
        )
    try:
        done = subprocess.run(
            [program, f"-T{form}"], input=dot.encode(), capture_output=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise TooLongError from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"{program} could not lay the graph out:\n{said}")
    return done.stdout
