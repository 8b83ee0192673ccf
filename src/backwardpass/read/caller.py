"""The caller's own code: the first frame outside of PyTorch and this package."""

import os
import sys
import sysconfig
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FrameType, FunctionType
from typing import Any

import torch

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INSIDE = tuple(
    folder + os.sep for folder in (os.path.dirname(os.path.abspath(torch.__file__)), PACKAGE)
)
# Python's own folder, for what the standard library does between a program and PyTorch.
LIBRARIES = tuple(
    path + os.sep for name in ("stdlib", "platstdlib") if (path := sysconfig.get_path(name))
)


def frame_outside() -> FrameType | None:
    """Find the innermost frame whose file lies neither in PyTorch nor in this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    return frame


def users_frame(frame: FrameType | None) -> FrameType | None:
    """Find the innermost frame, from one on, outside of installed libraries and of Python's own.

    Where there is none, as in a program that is itself installed, there is no answer.
    """
    while frame is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


@lru_cache(maxsize=4096)
def _is_library(filename: str) -> bool:
    inside = filename.startswith(LIBRARIES) or filename.startswith(INSIDE)
    # What torch.fx made as it ran, and what is built into Python.
    made = filename.startswith(("<eval_with_key", "<frozen"))
    parts = filename.replace(os.sep, "/").split("/")
    return inside or made or "site-packages" in parts or "dist-packages" in parts


def caller() -> FrameType:
    """Find the frame that called the PyTorch function which an overriding mode was given.

    To be asked from the mode's own method. A function written in Python hands its call on to the
    mode: that function's frame, and the one that handed it on, stand between.
    """
    frame = sys._getframe(2)
    if frame.f_code is _HANDS_ON and frame.f_back is not None and frame.f_back.f_back is not None:
        return frame.f_back.f_back
    return frame


def called_from(frame: FrameType) -> Callable[[Callable, tuple, dict[str, Any]], Any]:
    """Make a function that calls another as if it were called on the line a frame is at.

    A warning is shown with the file and the line of its caller, and counted there: so it keeps both
    although this package stands between.
    """
    code = frame.f_code
    return FunctionType(
        _standing_at(code.co_filename, frame.f_lineno, code.co_name), frame.f_globals
    )


@lru_cache(maxsize=4096)
def _standing_at(filename: str, line: int, name: str) -> CodeType:
    return _CALL.replace(co_filename=filename, co_firstlineno=line, co_name=name)


_CALL = (lambda function, args, kwargs: function(*args, **kwargs)).__code__
_HANDS_ON = torch.overrides.handle_torch_function.__code__
