"""Why a tensor has no gradient: from the graph, from a recorded pass, from a watched forward pass.

Each tier is asked only for what the one before it cannot know, and an answer says what was seen.
Where what was seen allows more than one cause the answer is "unknown", and says what to run next.
"""

import ast
import inspect
import linecache
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from backwardpass._data import Graph, Node
from backwardpass._record import BackwardPass, Recording
from backwardpass._saved import Names, storage_of
from backwardpass._text import clean, shape_text
from backwardpass._trace import edges_of, read
from backwardpass._watch import CLEARED, LEAVING, Note, Place, Watch

MOST_LEAVES = 6
MOST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a tensor has no gradient.

    Parameters
    ----------
    cause
        A few words, of a fixed list: see :func:`why_no_grad`.
    because
        What is so, in a sentence or two.
    change
        What to change; empty where the cause is not known yet.
    next
        What to run to learn more; empty where there is no need to.
    seen
        The facts the answer rests on, each a line.
    places
        The lines of code in question, the most telling first.

    Examples
    --------
    >>> from backwardpass import Answer
    >>> print(Answer("not a leaf", "It is no leaf.", change="Call retain_grad()."))
    not a leaf: It is no leaf.
      to change: Call retain_grad().
    """

    cause: str
    because: str
    change: str = ""
    next: str = ""
    seen: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()

    def to_text(self) -> str:
        """Write the answer, what was seen, what to change and what to run, a line each.

        >>> from backwardpass import Answer
        >>> Answer("unknown", "Nothing is wrong.", next="Record the pass.").to_text()
        'unknown: Nothing is wrong.\\n  to run: Record the pass.'
        """
        lines = [f"{self.cause}: {self.because}"]
        lines += [f"  at: {place}" for place in self.places]
        lines += [f"  seen: {fact}" for fact in self.seen]
        lines += [f"  to change: {self.change}"] if self.change else []
        lines += [f"  to run: {self.next}"] if self.next else []
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


WATCH = "the forward pass inside «with backwardpass.watch() as watched:», then ask with watched="
RECORD = "the backward pass inside «with backwardpass.record() as recording:», then ask with "
RECORD += "recording="
VALUES = "record(values=True), which tells whether a hook took it away during the pass"

# What to change, by cause.
CHANGE = {
    "no derivative": "Keep to floating point on the way from the tensor to the loss, or give the "
    "step a derivative of its own with a torch.autograd.Function.",
    "inference tensor": "Make it, and compute with it, outside torch.inference_mode(); "
    "a clone made outside can require a gradient.",
    "not a leaf": "If its gradient is wanted, call retain_grad() on it before the backward pass. "
    "If it is meant to be a parameter, compute its value first and let the result require a "
    "gradient: requires_grad_(), or torch.nn.Parameter.",
    "detached": "Leave the detaching out on the way from the tensor to the loss; detach what is "
    "logged or kept.",
    "recording was off": "Move the line out of torch.no_grad(), set_grad_enabled(False) or "
    "inference_mode(), or end the mode before it.",
    "inside a function": "Pass the tensor to apply() and return its gradient from backward(): what "
    "a torch.autograd.Function computes in forward() is not recorded.",
    "copied": "Use the tensor itself, or torch.stack for several; torch.tensor copies numbers.",
    "new leaf": "Compute with the result itself; a Parameter or requires_grad_() begins a new "
    "graph there.",
    "frozen": "Call requires_grad_(True) on it before the forward pass, if it is to be trained.",
    "left PyTorch": "Stay with tensors between the tensor and the loss.",
    "bound to another tensor": "Update in place, under torch.no_grad(), or make the final value "
    "first and let that require a gradient; ask about, and give the optimizer, the tensor that "
    "the loss was computed with.",
}


def why_no_grad(
    tensor: torch.Tensor,
    loss: torch.Tensor,
    *,
    recording: Recording | None = None,
    watched: Watch | None = None,
    names: Mapping[str, Any] | torch.nn.Module | None = None,
) -> Answer:
    """Say why the ``grad`` of a tensor is None after a backward pass from a loss.

    Nothing runs and nothing changes. The graph alone tells some causes; with a recording of the
    backward pass, and with a watched forward pass, it is told what happened and on which line.

    Parameters
    ----------
    tensor
        The tensor whose gradient is missed, of any shape.
    loss
        The tensor the backward pass is started from.
    recording
        What :func:`record` gave for the backward pass.
    watched
        What :func:`watch` gave for the forward pass.
    names
        Names for the leaves that the loss does reach, as in :func:`trace`.

    Returns
    -------
    Answer
        Its :attr:`~Answer.cause` is one of these. From the graph: "has a gradient", "inference
        tensor", "no derivative" (it is no floating point tensor), "does not require grad", "loss
        without a graph", "not reached", "not a leaf". With a recording: "backward not run", "other
        loss", "pass raised", "autograd.grad", "left out", "function returned None", "nothing
        arrived", "cleared", "removed by a hook". With a watch: "detached", "recording was off",
        "inside a function", "no derivative", "copied", "new leaf", "frozen", "left PyTorch", "not
        used", "bound to another tensor". And "unknown", where what was seen allows several.

    Raises
    ------
    TypeError
        If an argument is of another type.

    Examples
    --------
    >>> import torch, backwardpass
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> h = w * 3
    >>> loss = h.sum()
    >>> loss.backward()
    >>> print(backwardpass.why_no_grad(h, loss))
    not a leaf: It is no leaf: MulBackward0 made it, and it was not asked to retain its gradient.
      seen: the backward pass from the loss goes through it
      to change: If its gradient is wanted, call retain_grad() on it before the backward pass. ...

    Of a leaf that the loss reaches the graph cannot tell what became of its gradient; a recording
    of the pass can.

    >>> optimizer = torch.optim.SGD([w], lr=0.1)
    >>> loss = (w * 3).sum()
    >>> with backwardpass.record() as recording:
    ...     loss.backward()
    >>> optimizer.step()
    >>> optimizer.zero_grad()
    >>> backwardpass.why_no_grad(w, loss).cause
    'unknown'
    >>> print(backwardpass.why_no_grad(w, loss, recording=recording))
    cleared: The pass gave it a gradient, and it was cleared afterwards.
      at: ...: loss.backward()
      to change: Read the gradient before zero_grad(), or before it is set to None.
    """
    _check(tensor, loss, recording, watched)
    with torch._C.DisableTorchFunction():
        return _answer(tensor, loss, recording, watched, names)


def _answer(
    tensor: torch.Tensor,
    loss: torch.Tensor,
    recording: Recording | None,
    watched: Watch | None,
    names: Mapping[str, Any] | torch.nn.Module | None,
) -> Answer:
    if (tensor.is_leaf or tensor.retains_grad) and tensor.grad is not None:
        what = f"a gradient of shape {tuple(tensor.grad.shape)} and norm {_norm(tensor.grad):.3g}"
        return Answer("has a gradient", f"It has {what}.")
    if tensor.is_inference():
        return _answered("inference tensor", "It was made in torch.inference_mode().")
    lineage = None if watched is None else Lineage(watched, tensor, loss)
    if not tensor.requires_grad:
        return _without_grad(tensor, loss, lineage)
    if not loss.requires_grad:
        return _loss_without_graph(loss, lineage)
    graph, nodes = read(edges_of(loss), Names(names))
    here = _place_in(nodes, graph, tensor)
    if here is None:
        return _not_reached(tensor, graph, nodes, lineage)
    if not tensor.is_leaf and not tensor.retains_grad:
        return _not_a_leaf(tensor, lineage)
    if recording is None:
        return _reached(graph)
    return _after_passes(graph, here, recording, nodes, lineage)


def _check(tensor: Any, loss: Any, recording: Any, watched: Any) -> None:
    wanted = [
        ("tensor", tensor, torch.Tensor, "Pass the tensor whose gradient is missed"),
        ("loss", loss, torch.Tensor, "Pass the tensor that backward() was called on"),
        ("recording", recording, (Recording, type(None)), "Pass what backwardpass.record() gave"),
        ("watched", watched, (Watch, type(None)), "Pass what backwardpass.watch() gave"),
    ]
    for name, given, kinds, advice in wanted:
        if not isinstance(given, kinds):
            kind = kinds[0] if isinstance(kinds, tuple) else kinds
            raise TypeError(
                f"why_no_grad() needs a {kind.__name__} for {name};\n"
                f"got an object of type {type(given).__name__}.\n"
                f"{advice}."
            )


# The first tier: the graph alone.


def _without_grad(tensor: torch.Tensor, loss: torch.Tensor, lineage: "Lineage | None") -> Answer:
    if lineage is not None:
        answer = lineage.of_the_tensor()
        if answer is not None:
            return answer
    if not (tensor.is_floating_point() or tensor.is_complex()):
        kind = str(tensor.dtype).removeprefix("torch.")
        return _answered("no derivative", f"Its dtype is {kind}, which cannot require a gradient.")
    seen = []
    twin = _twin(tensor, loss)
    if twin is not None:
        seen.append(
            "the loss reaches another tensor that has the same memory: this one is a detach() or "
            ".data of it, or of a view of it"
        )
    return Answer(
        "does not require grad",
        "It does not require a gradient. Nobody asked for one (requires_grad=True), or it was "
        "computed from tensors that require none, under torch.no_grad(), or through detach(), "
        ".data, NumPy, .item() or torch.tensor(), or it was frozen with requires_grad_(False).",
        change=CHANGE["frozen"] if tensor.is_leaf and twin is None else "",
        next="" if lineage else WATCH,
        seen=tuple(seen),
    )


def _loss_without_graph(loss: torch.Tensor, lineage: "Lineage | None") -> Answer:
    if lineage is not None:
        answer = lineage.between()
        if answer is not None:
            return answer
    where = "in torch.inference_mode()" if loss.is_inference() else "from tensors that require no "
    where += "" if loss.is_inference() else "gradient, or where recording was off"
    return Answer(
        "loss without a graph",
        f"The loss requires no gradient itself: it was computed {where}. Its backward() raises.",
        next="" if lineage else WATCH,
        seen=(f"the loss has shape {tuple(loss.shape)}, and no grad_fn",),
    )


def _not_reached(
    tensor: torch.Tensor, graph: Graph, nodes: Sequence[Any], lineage: "Lineage | None"
) -> Answer:
    if lineage is not None:
        answer = lineage.between()
        if answer is not None:
            return answer
    if any(node.kind == "checkpoint" for node in graph.nodes):
        return Answer(
            "unknown",
            "No path is recorded from the loss to it; but one leads through a re-entrant "
            "checkpoint, which records what it computes only when the pass comes to it.",
            next=f"{RECORD}; or use checkpoint(..., use_reentrant=False), whose graph can be read",
        )
    leaves = [
        (described, node.variable)
        for described, node in zip(graph.nodes, nodes, strict=True)
        if described.kind == "accumulate"
    ]
    storage = storage_of(tensor)
    seen = [f"the loss reaches {_leaves([node for node, _ in leaves])}"]
    if storage is not None and storage in [storage_of(leaf) for _, leaf in leaves]:
        seen.append("one of them has the same memory, and is another tensor")
    behind = _behind(tensor, {id(leaf) for _, leaf in leaves})
    if behind:
        seen.append(
            f"this tensor was itself computed from {_count(behind, 'of these leaves')}: the loss "
            "was computed from the leaf and not from it"
        )
    return Answer(
        "not reached",
        "It requires a gradient, and no path leads from the loss to it: the loss was computed "
        "without it, or the path was cut on the way.",
        next="" if lineage else WATCH,
        seen=tuple(seen),
    )


def _not_a_leaf(tensor: torch.Tensor, lineage: "Lineage | None") -> Answer:
    made_by = tensor.grad_fn.name()
    if lineage is not None:
        answer = lineage.of_a_name()
        if answer is not None:
            return answer
    return _answered(
        "not a leaf",
        f"It is no leaf: {made_by} made it, and it was not asked to retain its gradient.",
        seen=("the backward pass from the loss goes through it",),
        places=lineage.made_at() if lineage else (),
    )


def _reached(graph: Graph) -> Answer:
    saved = [saved for node in graph.nodes for saved in node.saved]
    if any(one.freed for one in saved):
        fact = "a backward pass has run over this graph and freed what it had saved"
        because = "A pass has run: it did not write to this tensor, or what it wrote was cleared."
    else:
        fact = "no backward pass has freed anything of this graph"
        because = (
            "backward() has not run, or it ran with retain_graph=True, or over a graph that saves "
            "nothing, and what it wrote was cleared."
        )
    return Answer(
        "unknown",
        f"The loss reaches it, and it may have a gradient. {because}",
        next=RECORD,
        seen=(fact,),
    )


# The second tier: what passes did.


def _after_passes(
    graph: Graph,
    here: int,
    recording: Recording,
    nodes: Sequence[Any],
    lineage: "Lineage | None",
) -> Answer:
    if not recording.passes:
        return Answer(
            "backward not run",
            "No backward pass started inside the recorded block.",
            change="Call loss.backward() after the forward pass.",
        )
    answers = [_of_pass(graph, here, seen, nodes, lineage) for seen in recording.passes]
    found = [answer for answer in answers if answer is not None]
    # A pass that wrote to it explains more than one that did not, and a late one more than an
    # early one.
    order = ("cleared", "removed by a hook", "function returned None", "nothing arrived")
    for cause in order:
        for answer in reversed(found):
            if answer.cause == cause:
                return answer
    if found:
        return found[-1]
    places = tuple(_place_of(seen) for seen in recording.passes[-MOST_PLACES:])
    return Answer(
        "other loss",
        f"{_count(len(recording.passes), 'recorded pass')} ran, none of them over the graph of "
        "this loss.",
        change="Call backward() on the loss of the same forward pass.",
        places=places,
    )


def _of_pass(
    graph: Graph, here: int, seen: BackwardPass, nodes: Sequence[Any], lineage: "Lineage | None"
) -> Answer | None:
    """Say what one pass did to the node; None where it ran over another graph."""
    there = graph.match(seen.graph)
    if not there.keys() & set(graph.roots) and here not in there:
        return None
    places = (_place_of(seen),)
    if here not in there:
        return Answer(
            "other loss",
            "A pass ran over a part of this graph that does not lead to it.",
            change="Call backward() on this loss.",
            places=places,
        )
    ran = [step for step in seen.steps if step.node == there[here]]
    if seen.call == "grad" and not ran:
        return Answer(
            "autograd.grad",
            "torch.autograd.grad() returns gradients, and writes to no .grad.",
            change="Use what it returns, or call backward().",
            places=places,
        )
    if not ran and seen.error is not None:
        return Answer(
            "pass raised",
            "The pass ended with an exception before it came to this tensor.",
            change="Mend what raises; then clear the gradients and run the forward pass again.",
            seen=(f"{seen.error.splitlines()[0] if seen.error else 'an exception'}",),
            places=places,
        )
    if not ran:
        return Answer(
            "left out",
            "The pass ran without it: it was started with inputs= that do not include it.",
            change="Name it in inputs=, or leave inputs= out.",
            places=places,
        )
    if all(cotangent is None for cotangent in ran[-1].cotangents):
        return _nothing_arrived(seen, there, here, nodes, places)
    wrote = ran[-1].wrote
    if wrote is not None and wrote.how == "removed":
        return Answer(
            "removed by a hook",
            "The pass gave it a gradient, and a hook on the tensor took it away at once.",
            change="Look at what was registered with register_post_accumulate_grad_hook(): "
            "optimizers that step during the backward pass do this.",
            places=places,
        )
    cleared = lineage.cleared_at() if lineage else ()
    return Answer(
        "cleared",
        "The pass gave it a gradient, and it was cleared afterwards.",
        change="Read the gradient before zero_grad(), or before it is set to None.",
        next="" if wrote or cleared else VALUES,
        places=(*cleared, *places),
    )


def _nothing_arrived(
    seen: BackwardPass,
    there: Mapping[int, int],
    here: int,
    nodes: Sequence[Any],
    places: tuple[Place, ...],
) -> Answer:
    """Follow the None back to the nodes that had a gradient and sent none."""
    back = {then: now for now, then in there.items()}
    arrived = {step.node: step.cotangents for step in seen.steps}
    senders: dict[int, list[int]] = {}
    for node in seen.graph.nodes:
        for edge in node.edges:
            if edge.target is not None:
                senders.setdefault(edge.target, []).append(node.index)
    origins, queue, met = [], [there[here]], set()
    for index in queue:
        for sender in senders.get(index, ()):
            if sender in met or sender not in arrived:
                continue
            met.add(sender)
            if any(cotangent is not None for cotangent in arrived[sender]):
                origins.append(seen.graph.nodes[sender])
            else:
                queue.append(sender)
    functions = [node for node in origins if node.kind == "function"]
    if not functions:
        names = ", ".join(dict.fromkeys(clean(node.name) for node in origins)) or "nothing"
        return Answer(
            "nothing arrived",
            "The pass came to it, and brought no gradient.",
            seen=(f"a gradient went into {names}, and none came out towards this tensor",),
            places=places,
        )
    lines = [_backward_of(nodes[back[node.index]]) for node in functions if node.index in back]
    name = clean(functions[0].name).removesuffix("Backward")
    return Answer(
        "function returned None",
        f"The backward() of {name}, a torch.autograd.Function, got a gradient and returned None "
        "for the input that leads to this tensor.",
        change="Return the gradient in the place of that input: one for each argument of "
        "forward(), in its order.",
        places=(*(line for line in lines if line is not None), *places),
    )


def _backward_of(node: Any) -> Place | None:
    """Find where the backward of a Python function is written."""
    backward = getattr(getattr(type(node), "_forward_cls", None), "backward", None)
    try:
        _, line = inspect.getsourcelines(backward)
        filename = inspect.getsourcefile(backward)
        start = next(
            number
            for number, text in enumerate(linecache.getlines(filename)[line - 1 :], start=line)
            if text.lstrip().startswith("def ")
        )
    except (OSError, TypeError, StopIteration):
        return None
    return Place(filename, start, "backward")


def _place_of(seen: BackwardPass) -> Place:
    return Place(seen.filename, seen.line, "<pass>")


# The third tier: what was computed from what.

# Of several cuts the one that says most comes first.
CUTS = (
    "inside a function",
    "detached",
    "recording was off",
    "copied",
    "new leaf",
    "frozen",
    "no derivative",
)
BECAUSE = {
    "inside a function": "The line stands in the forward() of {function}, which used the tensor "
    "although apply() was not given it.",
    "detached": "{what} gave a tensor without a graph there.",
    "recording was off": "The line ran where gradients were not recorded.",
    "copied": "torch.{what}() copied the numbers there, without their graph.",
    "new leaf": "Of what the line computed a new leaf was made, by torch.nn.Parameter or the like; "
    "what the new leaf gets is not passed on.",
    "frozen": "requires_grad was set to False there.",
    "no derivative": "{what} has no derivative: its result carries no gradient.",
}
DETACHING = {"detach": "detach()", "detach_": "detach_()", "data": ".data"}
COPYING = {"tensor", "as_tensor", "asarray", "scalar_tensor"}


class Lineage:
    """What a watch noted of the way from a tensor to a loss."""

    def __init__(self, watch: Watch, tensor: torch.Tensor, loss: torch.Tensor) -> None:
        self.notes = watch._notes
        known, end = watch._of(tensor), watch._of(loss)
        self.number, self.latest = (None, None) if known is None else known
        self.end = None if end is None else end[1]
        self.tensor = tensor

    def between(self) -> Answer | None:
        """Say where the way from the tensor to the loss was cut."""
        if self.end is None:
            return Answer(
                "unknown",
                "The loss was not computed inside the watched block.",
                next=WATCH,
            )
        before = self._ancestors([self.end])
        if self.number is None:
            return self._unused(before)
        derived, linked = self._derived()
        if self.end not in derived:
            return self._apart(derived, before)
        cuts = [
            index
            for index in sorted(derived & before - linked)
            if any(given in linked and wanted for given, wanted in self.notes[index].given)
        ]
        # Where all seems linked, and the graph says it is not: a Function's result requires a
        # gradient for the sake of those it was given, and this tensor was not among them.
        cuts = cuts or [
            index
            for index in sorted(derived & before)
            if self.notes[index].function not in (None, "CheckpointFunction")
            and any(given in linked and wanted for given, wanted in self.notes[index].given)
        ]
        return self._cut(cuts) if cuts else None

    def of_the_tensor(self) -> Answer | None:
        """Say where a tensor that requires no gradient lost it."""
        if self.latest is None:
            return None
        rebound = self.of_a_name()
        if rebound is not None:
            return rebound
        before = self._ancestors([self.latest])
        lost = [index for index in sorted(before) if self._is_cut(index)]
        return self._cut(lost) if lost else None

    def of_a_name(self) -> Answer | None:
        """Say whether the line that made the tensor gave it the name of one it was made from."""
        note = self.notes[self.latest] if self.latest is not None else None
        if note is None or note.place is None or not note.given:
            return None
        name = _rebound(note.place)
        if name is None or name not in self._names_on(self.latest, note.place):
            return None
        off = "" if note.recording else ", where gradients were not recorded"
        return _answered(
            "bound to another tensor",
            f"The line bound {name} to a new tensor{off}; the leaf that {name} was before is "
            "another one.",
            places=(note.place,),
        )

    def made_at(self) -> tuple[Place, ...]:
        """Give the line that made the tensor."""
        place = self.notes[self.latest].place if self.latest is not None else None
        return () if place is None else (place,)

    def cleared_at(self) -> tuple[Place, ...]:
        """Give the last line on which the tensor's gradient was set to None."""
        for note in reversed(self.notes):
            if note.what == CLEARED and self.notes[note.given[0][0]].tensor == self.number:
                return (note.place,)
        return ()

    def _names_on(self, index: int, place: Place) -> set[str]:
        """Collect what leaves were called that went into the notes of one line."""
        names, queue = set(), [index]
        for one in queue:
            note = self.notes[one]
            if note.place == place:
                names.update(note.names)
                queue += [given for given, _ in note.given]
            elif note.is_leaf and note.requires_grad:
                names.update(self._names_when_made(note, place))
        return names

    def _names_when_made(self, leaf: Note, place: Place) -> set[str]:
        """Collect the names that the line which made a leaf gave to it, as far as they hold on."""
        made = [note.place for note in self.notes if note.tensor == leaf.tensor and note.place]
        return {
            name
            for there in made
            if there.filename == place.filename
            for name in _assigned(there)
            if there.function == place.function or "." in name
        }

    def _ancestors(self, starts: Iterable[int]) -> set[int]:
        found = set()
        queue = list(starts)
        for index in queue:
            if index not in found:
                found.add(index)
                queue += [given for given, _ in self.notes[index].given]
        return found

    def _derived(self) -> tuple[set[int], set[int]]:
        """Collect what was computed from the tensor, and what of it carries its gradient."""
        derived, linked = set(), set()
        for index, note in enumerate(self.notes):
            if note.tensor is not None and note.tensor == self.number:
                derived.add(index)
                if note.requires_grad or note.became is not None:
                    linked.add(index)
            if any(given in derived for given, _ in note.given):
                derived.add(index)
                # What a Function computes in forward() is linked by the Function, or not at all.
                inside = note.function is not None
                carries = inside or note.became == "function"
                carries = carries or (note.requires_grad and note.became is None)
                if carries and any(
                    given in linked and (wanted or inside) for given, wanted in note.given
                ):
                    linked.add(index)
        return derived, linked

    def _is_cut(self, index: int) -> bool:
        note = self.notes[index]
        loses = not note.requires_grad and note.became != "function"
        return loses and any(required for _, required in note.given)

    def _kind(self, note: Note) -> str:
        if note.what in DETACHING:
            return "detached"
        if note.what in COPYING:
            return "copied"
        if note.what.startswith("requires_grad"):
            return "frozen"
        if note.became == "leaf":
            return "new leaf"
        if note.function is not None or note.became == "function":
            return "inside a function"
        if note.inference or not note.recording:
            return "recording was off"
        return "no derivative"

    def _cut(self, cuts: list[int]) -> Answer:
        kinds = {index: self._kind(self.notes[index]) for index in cuts}
        cuts = sorted(cuts, key=lambda index: (CUTS.index(kinds[index]), index))
        first, kind = self.notes[cuts[0]], kinds[cuts[0]]
        what = DETACHING.get(first.what, _called(first.what))
        if kind == "copied":
            what = first.what
        places = [self.notes[index].place for index in cuts if kinds[index] == kind]
        seen = []
        if kind == "recording was off":
            if first.inference:
                seen.append("torch.inference_mode() was on")
            elif first.off is None:
                seen.append("recording was off already when the watched block began")
            else:
                seen.append(f"recording was switched off at {first.off}")
        more = len(dict.fromkeys(places)) - MOST_PLACES
        if more > 0:
            seen.append(f"{_count(more, 'more line')} of the same kind")
        return _answered(
            kind,
            BECAUSE[kind].format(what=what, function=first.function or "a Function"),
            seen=tuple(seen),
            places=tuple(dict.fromkeys(place for place in places if place))[:MOST_PLACES],
        )

    def _apart(self, derived: set[int], before: set[int]) -> Answer | None:
        """Answer where nothing PyTorch computed from the tensor went into the loss."""
        left = [
            self.notes[index]
            for index in sorted(derived)
            if self.notes[index].what in LEAVING and index < self.end
        ]
        rebound = self.of_a_name()
        if rebound is not None:
            return rebound
        if not left:
            return self._unused(before)
        how = ", ".join(dict.fromkeys(LEAVING[note.what] for note in left))
        places = dict.fromkeys(note.place for note in reversed(left))
        return _answered(
            "left PyTorch",
            f"Nothing that PyTorch computed from it went into the loss; as {how} its values left "
            "PyTorch, where nothing is recorded.",
            places=tuple(places)[:MOST_PLACES],
        )

    def _unused(self, before: set[int]) -> Answer | None:
        first = min(
            (index for index, note in enumerate(self.notes) if note.tensor == self.number),
            default=None,
        )
        leaves = [
            (index, self.notes[index])
            for index in sorted(before)
            if self.notes[index].is_leaf and self.notes[index].requires_grad
        ]
        if any(not self.notes[index].what and not self.notes[index].is_leaf for index in before):
            return None  # made by what is not seen, such as compiled code
        loss = self.notes[self.end].place
        if first is not None and self.number is not None and first > self.end:
            return _answered(
                "bound to another tensor",
                "It was made after the loss was computed: the loss knows another tensor.",
                seen=(f"the loss was computed at {loss}",),
                places=tuple(p for p in [self.notes[first].place] if p is not None),
            )
        return Answer(
            "not used",
            "No operation of the watched block that led to the loss was given this tensor.",
            change="Compute the loss with it; if another tensor took its name, ask about that one.",
            next="the watch around all of the way from the tensor to the loss, if a part of it ran "
            "before the block",
            seen=(
                f"the loss was computed at {loss}",
                f"leaves with a gradient that it was computed from: {len(leaves)}",
            ),
        )


def _rebound(place: Place) -> str | None:
    """Name what an assignment on a line gives a new value computed from the old one."""
    for statement in _assignments(place):
        used = {
            ast.unparse(part)
            for part in ast.walk(statement.value)
            if isinstance(part, (ast.Name, ast.Attribute, ast.Subscript))
        }
        for target in statement.targets:
            if ast.unparse(target) in used:
                return ast.unparse(target)
    return None


def _assigned(place: Place) -> list[str]:
    """List what the assignments on a line give values to, the parts of ``a, b = ...`` too."""
    found = []
    for statement in _assignments(place):
        for target in statement.targets:
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            found += [ast.unparse(part) for part in parts]
    return found


def _assignments(place: Place) -> list[ast.Assign]:
    try:
        tree = ast.parse("".join(linecache.getlines(place.filename)))
    except (SyntaxError, ValueError):
        return []
    return [
        statement
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Assign)
        and statement.lineno <= place.line <= (statement.end_lineno or statement.lineno)
    ]


def _answered(
    cause: str, because: str, seen: tuple[str, ...] = (), places: tuple[Place, ...] = ()
) -> Answer:
    return Answer(cause, because, change=CHANGE[cause], seen=seen, places=places)


def _place_in(nodes: Sequence[Any], graph: Graph, tensor: torch.Tensor) -> int | None:
    """Find the node a tensor's gradient arrives at, if an edge leads to that very output."""
    ((wanted, number),) = edges_of(tensor)
    for index, node in enumerate(nodes):
        if node is wanted or (node.name().endswith("AccumulateGrad") and node.variable is tensor):
            break
    else:
        return None
    if index in graph.roots or len(graph.nodes[index].outputs) == 1:
        return index
    arrives = any(
        edge.target == index and edge.input_nr == number
        for node in graph.nodes
        for edge in node.edges
    )
    return index if arrives else None


def _twin(tensor: torch.Tensor, loss: torch.Tensor) -> Any:
    """Find a leaf of the loss that shares memory with a tensor."""
    storage = storage_of(tensor)
    if storage is None or not loss.requires_grad:
        return None
    graph, nodes = read(edges_of(loss), Names())
    for described, node in zip(graph.nodes, nodes, strict=True):
        if described.kind == "accumulate" and storage_of(node.variable) == storage:
            return node.variable
    return None


def _behind(tensor: torch.Tensor, leaves: set[int]) -> int:
    """Count the leaves of the loss that a tensor was itself computed from."""
    if tensor.is_leaf:
        return 0
    graph, nodes = read(edges_of(tensor), Names())
    pairs = zip(graph.nodes, nodes, strict=True)
    return sum(one.kind == "accumulate" and id(node.variable) in leaves for one, node in pairs)


def _leaves(leaves: Sequence[Node]) -> str:
    if not leaves:
        return "no leaf"
    named = [
        f"{clean(leaf.label)} {shape_text(leaf.outputs[0])}" if leaf.label
        else f"one of shape {shape_text(leaf.outputs[0])}"
        for leaf in leaves[:MOST_LEAVES]
    ]  # fmt: skip
    more = len(leaves) - MOST_LEAVES
    tail = f", and {more} more" if more > 0 else ""
    return f"{_count(len(leaves), 'leaf')}: {', '.join(named)}{tail}"


def _count(number: int, what: str) -> str:
    """Count in words a reader reads.

    >>> _count(1, "leaf"), _count(2, "leaf"), _count(2, "recorded pass")
    ('1 leaf', '2 leaves', '2 recorded passes')
    """
    if number == 1 or what.startswith("of "):
        return f"{number} {what}"
    plurals = {"leaf": "leaves", "recorded pass": "recorded passes"}
    return f"{number} {plurals.get(what, what + 's')}"


def _called(what: str) -> str:
    """Write a function's name as a reader would.

    >>> _called("argmax"), _called("__gt__")
    ('argmax', '>')
    """
    signs = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}
    return signs.get(what.strip("_"), what)


def _norm(grad: torch.Tensor) -> float:
    with torch.no_grad():
        dense = grad.coalesce().values() if grad.layout == torch.sparse_coo else grad
        return float(torch.linalg.vector_norm(dense.detach().to(torch.float64)))

