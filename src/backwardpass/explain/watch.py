"""Note what was computed from what, and on which line, for :func:`why_no_grad` to read.

Inside a `watch` block every call of a PyTorch function from Python passes through one method. It
calls the function as it was called, and writes down which tensors went in, which came out, and
whether they required a gradient. Notes hold numbers and strings; a tensor is told apart by a weak
reference, so that none lives longer for being watched.
"""

import inspect
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from backwardpass.explain.forwards import Forwards
from backwardpass.explain.place import Place, place_of
from backwardpass.read import pytorch
from backwardpass.read.caller import called_from, caller, frame_outside, users_frame
from backwardpass.read.pytorch import storage_of

# What takes a value out of PyTorch, where nothing is recorded.
LEAVING = {
    "item": "item()",
    "tolist": "tolist()",
    "numpy": "numpy()",
    "__array__": "a NumPy array",
    "__float__": "float()",
    "__int__": "int()",
    "__complex__": "complex()",
}
CLEARED = "grad = None"
# What returns nothing, and changes the tensor that stands first: ``x[0] = y``, ``x.data = y``.
_CHANGES_ITS_FIRST = {"__setitem__", "data", "requires_grad"}


@dataclass(slots=True)
class Note:
    """One call that gave a tensor, or took a value out of PyTorch.

    `tensor` numbers the tensor that came out, or is None; `given` lists the notes of those that
    went in, each with whether it required a gradient then. A tensor met for the first time has a
    note without `what`.
    """

    what: str
    place: Place | None
    given: tuple[tuple[int, bool], ...] = ()
    tensor: int | None = None
    requires_grad: bool = False
    is_leaf: bool = True
    floating: bool = True
    recording: bool = True  # whether gradients were enabled
    inference: bool = False
    function: str | None = None  # the autograd.Function inside whose forward it was
    off: Place | None = None  # where recording had been switched off
    names: tuple[str, ...] = ()  # what the caller called those given leaves that require one
    user: Place | None = None  # the line outside of libraries that led to `place`, if another
    became: str | None = None  # "function" or "leaf": what let it require a gradient later


class Watch:
    """What :func:`watch` gives: the notes of a block, for :func:`why_no_grad` to read.

    Examples
    --------
    >>> import torch, backwardpass
    >>> with backwardpass.watch() as watched:
    ...     y = torch.ones(2) + 1
    >>> watched
    Watch(2 notes)
    """

    def __init__(self) -> None:
        self._notes: list[Note] = []
        # For each tensor that is alive: its number, and its latest note.
        self._known = WeakTensorKeyDictionary()
        self._tensors = 0
        self._on_storage: dict[int, tuple[weakref.ref, int]] = {}
        self._off: Place | None = None
        self._mode: _Mode | None = None
        self._forwards = Forwards()

    def __repr__(self) -> str:
        return f"Watch({len(self._notes)} note{'' if len(self._notes) == 1 else 's'})"

    def __enter__(self) -> "Watch":
        if self._mode is not None:
            raise RuntimeError("This watch is open already; make another with watch().")
        self._mode = _Mode(self)
        self._mode.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        mode, self._mode = self._mode, None
        self._on_storage.clear()
        if mode is not None:
            mode.__exit__(*exception)

    def _of(self, tensor: torch.Tensor) -> tuple[int, int] | None:
        """Give a tensor's number and its latest note; None for one that was never met."""
        return self._known.get(tensor)

    def _note(self, note: Note, tensor: torch.Tensor | None = None) -> int:
        """Keep a note, of a tensor where one came out."""
        place = len(self._notes)
        self._notes.append(note)
        if tensor is not None:
            known = self._known.get(tensor)
            if known is None:
                note.tensor, self._tensors = self._tensors, self._tensors + 1
            else:
                note.tensor = known[0]
            self._known[tensor] = (note.tensor, place)
            storage = storage_of(tensor)
            if storage is not None:
                self._on_storage[storage] = (weakref.ref(tensor.untyped_storage()), place)
        return place

    def _met(self, tensor: torch.Tensor) -> tuple[int, bool]:
        """Find the latest note of a tensor that goes into a call, and complete it."""
        known = self._known.get(tensor)
        requires_grad = tensor.requires_grad
        if known is None:
            place = self._note(self._first(tensor, requires_grad), tensor)
            return place, requires_grad
        note = self._notes[known[1]]
        if requires_grad and not note.requires_grad and note.became is None:
            # Of the two that can happen unseen the first connects it, the second does not.
            note.became = "leaf" if pytorch.is_leaf(tensor) else "function"
        return known[1], requires_grad

    def _first(self, tensor: torch.Tensor, requires_grad: bool) -> Note:
        """Describe a tensor that no call has been seen to make."""
        note = Note("", None, requires_grad=requires_grad, is_leaf=pytorch.is_leaf(tensor))
        storage = storage_of(tensor)
        alive, place = (None, 0) if storage is None else self._on_storage.get(storage, (None, 0))
        if alive is not None and alive() is not None:
            # Such as a Parameter made of a result: a new leaf over the same memory.
            note.what, note.given = "new", ((place, self._notes[place].requires_grad),)
            note.place, note.user = self._notes[place].place, self._notes[place].user
            note.became = "leaf" if requires_grad and pytorch.is_leaf(tensor) else None
        return note


class _Mode(TorchFunctionMode):
    """Passes every call on, and lets the watch take notes."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_compiling():  # Dynamo follows this method into what it compiles
            return function(*args, **kwargs)
        watch = self._watch
        with pytorch.unseen():
            # Looked at before the call: afterwards an in-place operation has changed them.
            tensors = list(_tensors((args, kwargs)))
            given = tuple(watch._met(tensor) for tensor in tensors)
            leaves = [one for one in tensors if one.requires_grad and pytorch.is_leaf(one)]
        result = called_from(caller())(function, args, kwargs)
        with pytorch.unseen():
            self._take_notes(function, args, given, leaves, result)
        return result

    def _take_notes(
        self,
        function: Callable,
        args: tuple,
        given: tuple[tuple[int, bool], ...],
        leaves: list[torch.Tensor],
        result: Any,
    ) -> None:
        name = _name(function)
        if name == pytorch.SWITCH:
            self._watch._off = None if args[0] else place_of(frame_outside())
        elif name in LEAVING:
            if given:
                self._note_without_tensor(name, given)
        else:
            if name == "grad" and result is None and len(args) == 2 and args[1] is None:
                self._note_without_tensor(CLEARED, given[:1])
            changed = result is None and name in _CHANGES_ITS_FIRST
            made = [args[0]] if changed else list(_tensors(result))
            if made and name not in pytorch.NO_VALUE:
                self._note_tensors(name, given, leaves, made)

    def _note_without_tensor(self, what: str, given: tuple[tuple[int, bool], ...]) -> None:
        frame = frame_outside()
        place, recording = place_of(frame), torch.is_grad_enabled()
        self._watch._note(Note(what, place, given, recording=recording, user=_users_line(frame)))

    def _note_tensors(
        self,
        name: str,
        given: tuple[tuple[int, bool], ...],
        leaves: list[torch.Tensor],
        made: list[torch.Tensor],
    ) -> None:
        frame, recording = frame_outside(), torch.is_grad_enabled()
        place, names, user = place_of(frame), _names_of(leaves, frame), _users_line(frame)
        inside = None if recording or not given else self._watch._forwards.around()
        for tensor in made:
            note = Note(
                name,
                place,
                given,
                requires_grad=tensor.requires_grad,
                is_leaf=pytorch.is_leaf(tensor),
                floating=tensor.is_floating_point() or tensor.is_complex(),
                recording=recording,
                inference=torch.is_inference_mode_enabled(),
                function=inside,
                off=None if recording else self._watch._off,
                names=names,
                user=user,
            )
            self._watch._note(note, tensor)


def watch() -> Watch:
    """Watch what is computed from what inside a ``with`` block.

    Put it around the forward pass, and give the result to :func:`why_no_grad`: it then knows the
    line on which a gradient was lost. Results, gradients and random numbers are what they are
    without it; every call of a PyTorch function costs some microseconds more, and each leaves a
    note of a few hundred bytes until the watch is let go of. No tensor is kept alive.

    What is seen are calls from Python of this thread: no other thread's, and nothing inside of
    what :func:`torch.compile` or ``torch.jit`` made.

    Returns
    -------
    Watch
        To be used in a ``with`` statement.

    Examples
    --------
    >>> import torch, backwardpass
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with backwardpass.watch() as watched:
    ...     h = w * 3
    ...     loss = h.detach().sum()
    >>> answer = backwardpass.why_no_grad(w, loss, watched=watched)
    >>> answer.cause, answer.places[0].source
    ('detached', 'loss = h.detach().sum()')
    """
    return Watch()


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    """Find the tensors in tuples, lists and dictionaries."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _tensors(part)
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from _tensors(part)


def _name(function: Callable) -> str:
    """Name a function as it is called: of an attribute that is read or set, its name."""
    name = getattr(function, "__name__", type(function).__name__)
    if name in ("__get__", "__set__"):
        return getattr(getattr(function, "__self__", None), "__name__", name)
    return name


def _users_line(frame: FrameType | None) -> Place | None:
    """Give the line of the user's that called a library, where the frame is the library's."""
    own = users_frame(frame)
    return None if own is None or own is frame else place_of(own)


def _names_of(tensors: list[torch.Tensor], frame: FrameType | None) -> tuple[str, ...]:
    """Find the global variables of a script or notebook that are these tensors.

    A function's variables are not asked for: the answer would hold on to their values.
    """
    if not tensors or frame is None or frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return ()
    wanted = {id(tensor) for tensor in tensors}
    return tuple(name for name, value in frame.f_locals.items() if id(value) in wanted)
