"""The caller's own code: the first frame outside of PyTorch and this package."""

import os
import sys
from types import FrameType

import torch

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INSIDE = tuple(
    folder + os.sep for folder in (os.path.dirname(os.path.abspath(torch.__file__)), PACKAGE)
)


def frame_outside() -> FrameType | None:
    """Find the innermost frame whose file lies neither in PyTorch nor in this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    return frame
