"""Observe backward passes: which nodes run, in which order, and what arrives at each.

Every pass, whether started by `Tensor.backward`, `torch.autograd.backward`, `torch.autograd.grad`
or `torch.func`, goes through one function of `torch.autograd`. While a recording is open that
function is wrapped; around each call the graph is read and its nodes get a hook.

The hooks hold numbers only. A hook that held its node would keep the graph alive for ever, and a
held cotangent would be copied into `.grad` where PyTorch otherwise takes it over as it is.
"""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from backwardpass.data.passes import Call, Step
from backwardpass.graph import BackwardPass, Graph
from backwardpass.read import pytorch
from backwardpass.read.caller import frame_outside
from backwardpass.read.names import Names
from backwardpass.read.trace import edges_of, meta_of, read
from backwardpass.recording.details import Details

DEEP = 50  # passes inside one another; from 60 on the engine runs them in threads of its own


def record(
    names: Mapping[str, Any] | torch.nn.Module | None = None,
    only: str | Callable[[str], bool] | None = None,
    values: bool = False,
) -> "Recording":
    """Record the backward passes that run inside a ``with`` block.

    Results, gradients and memory are what they are without it, and afterwards everything is as it
    was. An exception a pass ends with is noted and goes on. Passes of other threads are recorded
    too, each with its own steps, and so are passes that run inside a pass.

    Parameters
    ----------
    names
        Names for tensors, as in :func:`trace`; looked up when a pass starts, so ``globals()`` names
        what was made inside the block too.
    only
        A file's name, or a function from a file's name to bool: passes called from other files run
        unobserved.
    values
        Whether steps also have norms, small tensors' numbers, what was freed and what was written.
        The numbers are computed apart from what PyTorch computes, and no tensor is kept.

    Returns
    -------
    Recording
        To be used in a ``with`` statement; its :attr:`~Recording.passes` are the result.

    Raises
    ------
    TypeError
        If `names` is neither mapping nor module, or `only` neither a string nor callable.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with backwardpass.record() as recording:
    ...     (x * x).sum().backward()
    >>> seen = recording.passes[0]
    >>> for step in seen.steps:
    ...     print(seen.graph.nodes[step.node].name, [meta.shape for meta in step.cotangents])
    SumBackward0 [()]
    MulBackward0 [(2,)]
    AccumulateGrad [(2,)]
    """
    with pytorch.unseen():
        Names(names)  # raises, if it has to, at the call rather than at the first pass
    if only is not None and not isinstance(only, str) and not callable(only):
        raise TypeError(
            "only has to be a file's name or a function from a file's name to bool;\n"
            f"got an object of type {type(only).__name__}.\n"
            "Pass __file__ for the passes of the file at hand."
        )
    return Recording(names, only, values)


@dataclass(slots=True, eq=False)
class _Running:
    """What the hooks of one pass write to, and what the pass will be made of."""

    steps: list[Step] = field(default_factory=list)
    details: Details | None = None
    suspended: bool = False  # while a pass started inside this one runs
    thread: int = field(default_factory=threading.get_ident)
    number: int | None = None  # of the engine, told by the first of its nodes to run
    # Whether a thread of the engine's may run it: another device's, or of passes inside passes.
    elsewhere: bool = False


class Recording:
    """The backward passes of a ``with backwardpass.record()`` block.

    Examples
    --------
    >>> import backwardpass
    >>> with backwardpass.record() as recording:
    ...     pass
    >>> recording.passes
    []
    """

    def __init__(
        self,
        names: Mapping[str, Any] | torch.nn.Module | None,
        only: str | Callable[[str], bool] | None,
        values: bool = False,
    ) -> None:
        self._names = names
        self._only = only
        self._with_values = values
        self._passes: list[BackwardPass | None] = []
        self._threads = threading.local()
        # The passes that run now, and those the engine has numbered.
        self._open: list[_Running] = []
        self._numbers: dict[int, _Running] = {}
        self._lock = threading.Lock()
        # While the recording is open: what passes start through, and what they did before.
        self._gateway: Callable | None = None
        self._before: Callable | None = None

    @property
    def passes(self) -> list[BackwardPass]:
        """The passes in the order in which they started; one inside another comes after it."""
        return [seen for seen in self._passes if seen is not None]

    def __enter__(self) -> "Recording":
        if self._gateway is not None:
            raise RuntimeError("This recording is open already; make another with record().")
        before = pytorch.engine()

        def gateway(outputs: Any, *args: Any, **kwargs: Any) -> Any:
            def run() -> Any:
                return before(outputs, *args, **kwargs)

            # Closed out of turn, below another recording: let the passes through.
            if self._gateway is not gateway or pytorch.is_symbolic():
                return run()
            filename, line = _caller()
            if not self._is_wanted(filename):
                return run()
            _, retain_graph, create_graph = args[:3]
            call: Call = "backward" if kwargs.get("accumulate_grad") else "grad"
            made = call, filename, line, bool(retain_graph), bool(create_graph)
            return self._observe(run, outputs, made)

        self._before, self._gateway = before, gateway
        pytorch.set_engine(gateway)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None and pytorch.engine() is self._gateway:
            pytorch.set_engine(self._before)
        self._before = self._gateway = self._names = None

    def _is_wanted(self, filename: str) -> bool:
        if self._only is None:
            return True
        if isinstance(self._only, str):
            return os.path.abspath(filename) == os.path.abspath(self._only)
        return bool(self._only(filename))

    def _belongs(self, running: _Running) -> bool:
        """Tell whether a node that runs on this thread does so for a pass, and for no other.

        Threads that run passes at the same time may share nodes, a leaf's above all; and so may a
        pass that was started inside another.
        """
        number, here = pytorch.running_pass(), threading.get_ident()
        if number is None:  # this PyTorch does not say; the engine's own threads are not told apart
            elsewhere = running.elsewhere and here not in self._callers()
            return not running.suspended and (here == running.thread or elsewhere)
        with self._lock:
            owner = self._numbers.get(number)
            if owner is None and not running.suspended and running.number is None:
                elsewhere = running.elsewhere and here not in self._callers()
                if here == running.thread or elsewhere:
                    owner = self._numbers[number] = running
                    running.number = number
        return owner is running

    def _callers(self) -> set[int]:
        return {each.thread for each in list(self._open)}

    def _observe(
        self, run: Callable[[], Any], outputs: Any, made: tuple[Call, str, int, bool, bool]
    ) -> Any:
        graph, nodes = _read(outputs, self._names)
        # The nodes live while the pass runs, as its caller holds the roots: to hold them here too
        # keeps nothing alive for longer.
        running = _Running(details=Details(graph, nodes) if self._with_values else None)
        with self._lock:
            place = len(self._passes)
            self._passes.append(None)
            self._open.append(running)
        stack = self._threads.__dict__.setdefault("stack", [])
        running.elsewhere = len(stack) >= DEEP or any(
            meta.device != "cpu" for node in graph.nodes for meta in node.outputs
        )
        if stack:
            # The two may share nodes, a leaf above all, whose hooks must not mix them up.
            stack[-1].suspended = True
        stack.append(running)
        handles = []
        error = None
        try:
            for index, node in enumerate(nodes):
                handles.append(node.register_prehook(_hook(running, index, self._belongs)))
            # A leaf holds its AccumulateGrad weakly: as a root it would die here, hook and all.
            nodes = [nodes[i] for i in graph.roots if graph.nodes[i].kind == "accumulate"]
            node = None
            return run()
        except BaseException as raised:
            error = str(raised)
            raise
        finally:
            nodes = []  # the frame may live on in a traceback
            for handle in handles:
                handle.remove()
            if running.details is not None:
                running.details.after_last(running.steps)
                running.details = None
            stack.pop()
            if stack:
                stack[-1].suspended = False
            with self._lock:
                self._open.remove(running)
                if running.number is not None:
                    del self._numbers[running.number]
            self._passes[place] = BackwardPass(*made, graph, tuple(running.steps), error)


def _hook(
    running: _Running, index: int, belongs: Callable[[_Running], bool]
) -> Callable[[Any], None]:
    def note(cotangents: tuple[torch.Tensor | None, ...]) -> None:
        if not belongs(running):
            return
        with pytorch.unseen():
            arrived = tuple(value if value is None else meta_of(value) for value in cotangents)
            step = Step(index, arrived)
            if running.details is not None:
                step = running.details.before(step, cotangents, running.steps)
        running.steps.append(step)

    return note


def _read(
    outputs: Any, names: Mapping[str, Any] | torch.nn.Module | None
) -> tuple[Graph, list[Any]]:
    with pytorch.unseen():
        edges = [edge for output in outputs for edge in edges_of(output)]
        # Without an edge the graph is empty and PyTorch will raise: that is for PyTorch to say.
        return read(edges, Names(names))


def _caller() -> tuple[str, int]:
    frame = frame_outside()
    return ("<unknown>", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
