"""Which :class:`torch.autograd.Function` a call happens in, told by the frames around it."""

import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FrameType

import torch

from backwardpass.read import pytorch


class Forwards:
    """Finds the Function inside whose forward a call happens.

    Since PyTorch 2.14 ``apply`` is a builtin, which leaves no frame. What every version leaves is
    the frame of the forward itself, whose code belongs to a subclass of Function.
    """

    def __init__(self) -> None:
        # The classes a code is the forward of, by their names; of most code none. It is asked for
        # anew of code not met before, and where classes were made since.
        self._known: dict[CodeType, tuple[str, ...]] = {}
        self._classes = 0

    def around(self) -> str | None:
        """Name the innermost Function whose forward is running; None outside of every one.

        A forward that is called by its own name, without ``apply``, counts too.
        """
        classes = len(torch.autograd.Function.__subclasses__())
        if classes != self._classes:
            self._classes = classes
            self._known.clear()
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            names = self._names(frame.f_code)
            if names:
                return names[0] if len(names) == 1 else _of_context(frame) or names[0]
            frame = frame.f_back
        return None

    def _names(self, code: CodeType) -> tuple[str, ...]:
        if code not in self._known:
            named: dict[CodeType, dict[str, None]] = {}
            for function in _functions():
                written = getattr(inspect.unwrap(function.forward), "__code__", None)
                if written is not None:
                    named.setdefault(written, {})[function.__name__] = None
            self._known |= {written: tuple(names) for written, names in named.items()}
            self._known.setdefault(code, ())
        return self._known[code]


def _functions() -> Iterator[type[torch.autograd.Function]]:
    """Go through all subclasses of Function that there are; the class itself has no forward."""
    found: list[type[torch.autograd.Function]] = [torch.autograd.Function]
    for one in found:  # the list grows while it is gone through
        found += one.__subclasses__()
    return iter(found[1:])


def _of_context(frame: FrameType) -> str | None:
    """Name the Function of the `ctx` that a forward was given, where several share its code."""
    given = frame.f_locals.get(next(iter(frame.f_code.co_varnames), ""))
    return getattr(pytorch.function_of(given), "__name__", None)
