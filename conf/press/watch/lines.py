"""The line of a script that was running when a node of the graph was recorded.

PyTorch numbers the nodes it records, in each thread.  While a script runs, that number is looked at
from one of its lines to the next: where it has grown, the line before recorded what came to it.
Nothing of PyTorch's is changed for it, and no node or tensor is held.
"""

import sys
from bisect import bisect_right
from types import CodeType, FrameType

import torch
from torch._C._dynamo import eval_frame

# A function that has recorded nothing in so many calls is not followed any more, which would slow
# down a script that computes without PyTorch; the line that calls it stands for its lines.
CALLS = 200


class RunningLines:
    """Follow the lines of one file from :meth:`start` to :meth:`stop`.

    >>> followed = RunningLines("script.py")
    >>> followed.start()
    >>> exec(compile("x = torch.ones(2, requires_grad=True)\\ny = x.exp()\\nz = y.sin()",
    ...              "script.py", "exec"))
    >>> followed.stop()
    >>> [followed.at(node._sequence_nr()) for node in (z.grad_fn, y.grad_fn)]
    [3, 2]
    """

    def __init__(self, filename: str):
        self.filename = filename
        # Below which number nodes were recorded by which line: two lists, in step.
        self._numbers: list[int] = []
        self._lines: list[int | None] = []
        self._seen = 0
        self._line: int | None = None
        self._code: CodeType | None = None
        self._calls: dict[CodeType, int] = {}
        self._recording: set[CodeType | None] = set()

    def start(self) -> None:
        """Begin to follow; a debugger, or what measures coverage, is left in its place."""
        if sys.gettrace() is None:
            self._seen = torch.autograd._get_sequence_nr()
            self._numbers, self._lines = [self._seen], [None]  # what is older is no line's
            # Below a compiled function torch.compile would take these for a part of it.
            skip = eval_frame._FrameAction.SKIP
            for method in (self._called, self._moved, self._note):
                strategy = eval_frame._FrameExecStrategy(skip, skip)
                eval_frame.set_code_exec_strategy(method.__code__, strategy)
            sys.settrace(self._called)

    def stop(self) -> None:
        """Follow no more; may be called again."""
        if getattr(sys.gettrace(), "__self__", None) is self:
            sys.settrace(None)
            self._note()

    def at(self, number: int | None) -> int | None:
        """The line that recorded the node of that sequence number; None where that was not seen."""
        place = len(self._lines) if number is None else bisect_right(self._numbers, number)
        return self._lines[place] if place < len(self._lines) else None

    def _note(self) -> None:
        """Write down that the line until now recorded what has been recorded since the last."""
        now = torch.autograd._get_sequence_nr()
        if now == self._seen:
            return
        self._numbers.append(now)
        self._lines.append(self._line)
        self._seen = now
        self._recording.add(self._code)

    def _called(self, frame: FrameType, event: str, _: object):
        code = frame.f_code
        if code.co_filename != self.filename:
            return None
        if code not in self._recording:
            calls = self._calls[code] = self._calls.get(code, 0) + 1
            if calls > CALLS:
                return None
        self._note()
        return self._moved

    def _moved(self, frame: FrameType, event: str, _: object):
        if event == "line":
            self._note()
            self._line, self._code = frame.f_lineno, frame.f_code
        elif event == "return":
            self._note()
            caller = frame.f_back
            while caller is not None and caller.f_code.co_filename != self.filename:
                caller = caller.f_back
            self._line = caller and caller.f_lineno
            self._code = caller and caller.f_code
        return self._moved
