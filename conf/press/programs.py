"""Run a program apart from what runs it: quietly, in an empty folder, without this project.

This module needs the standard library alone, as an old PyTorch's interpreter runs programs with it.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# How a program's frames and warnings name it.
NAME = "<program>"
# What PyTorch adds to a warning: where its own build lay.
TRIGGERED = re.compile(r"\s*\(Triggered internally at [^)]*\)")
# Warnings that Python shows only where a program's own lines cause them.
FOR_AUTHORS = (DeprecationWarning, PendingDeprecationWarning)


@dataclass(frozen=True)
class Ran:
    """What a program printed, the exception or warning it ended with, and its names."""

    printed: str
    message: str | None
    names: dict = field(repr=False)


def run(code: str) -> Ran:
    """Run ``code`` as a program of its own, and note what a person would see of it.

    >>> run("print(1)" + chr(10) + "1 / 0")
    Ran(printed='1', message='ZeroDivisionError: division by zero')
    >>> run("import warnings; warnings.warn('old', DeprecationWarning)").message
    'DeprecationWarning: old'
    """
    names = {"__name__": "__main__"}
    printed, message = io.StringIO(), None
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            exec(compile(code, NAME, "exec", dont_inherit=True), names)
        except Exception as error:
            message = f"{_name(type(error))}: {error}"
    seen = [
        warning
        for warning in caught
        if warning.filename == NAME or not issubclass(warning.category, FOR_AUTHORS)
    ]
    if message is None and seen:
        message = TRIGGERED.sub("", f"{seen[-1].category.__name__}: {seen[-1].message}")
    return Ran(printed.getvalue().rstrip("\n"), message, names)


def _name(kind: type) -> str:
    """An exception's name as a traceback prints it."""
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


@contextmanager
def quietly() -> Iterator[None]:
    """While the context is open, nothing that Python prints or warns of is seen."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def empty_folder() -> Iterator[str]:
    """Stay in an empty folder, which is gone when the context is left."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


class Refusing:
    """Refuses to import some packages: what somebody who runs a program alone does not have."""

    def __init__(self, packages: tuple[str, ...]):
        self.packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """As the import system asks it; None leaves the search to others."""
        if name.partition(".")[0] in self.packages:
            raise ImportError(f"{name} is not there for a program that stands alone")


def refuse(*packages: str) -> None:
    """From now on none of ``packages`` can be imported, and none was."""
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    sys.meta_path.insert(0, Refusing(packages))
