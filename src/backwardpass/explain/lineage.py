"""The way from a tensor to a loss, as a watch noted it: where it was cut, and on which line."""

import ast
import linecache
from collections.abc import Iterable

import torch

from backwardpass.explain.answer import WATCH, Answer, Cause, answered, count
from backwardpass.explain.place import Place
from backwardpass.explain.watch import CLEARED, LEAVING, Note, Watch

MOST_PLACES = 3
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
        self.number = None if known is None else known[0]
        self.latest = None if known is None else known[1]
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
            return self._unused(before, self.end)
        derived, linked = self._derived()
        if self.end not in derived:
            return self._apart(derived, before, self.end)
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
        if self.latest is None:
            return None
        note = self.notes[self.latest]
        if note.place is None or not note.given:
            return None
        name = _rebound(note.place)
        if name is None or name not in self._names_on(self.latest, note.place):
            return None
        off = "" if note.recording else ", where gradients were not recorded"
        return answered(
            "bound to another tensor",
            f"The line bound {name} to a new tensor{off}; the leaf that {name} was before is "
            "another one.",
            places=(note.place,),
        )

    def made_at(self) -> tuple[Place, ...]:
        """Give the line that made the tensor."""
        return () if self.latest is None else _lines_of(self.notes[self.latest])

    def cleared_at(self) -> tuple[Place, ...]:
        """Give the last line on which the tensor's gradient was set to None."""
        for note in reversed(self.notes):
            if note.what == CLEARED and self.notes[note.given[0][0]].tensor == self.number:
                return _lines_of(note)
        return ()

    def _names_on(self, index: int, place: Place) -> set[str]:
        """Collect what leaves were called that went into the notes of one line."""
        names: set[str] = set()
        queue = [index]
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

    def _kind(self, note: Note) -> Cause:
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
        lines = [_lines_of(self.notes[index]) for index in cuts if kinds[index] == kind]
        lines = list(dict.fromkeys(lines))
        seen = []
        if kind == "recording was off":
            if first.inference:
                seen.append("torch.inference_mode() was on")
            elif first.off is None:
                seen.append("recording was off already when the watched block began")
            else:
                seen.append(f"recording was switched off at {first.off}")
        more = len(lines) - MOST_PLACES
        if more > 0:
            seen.append(f"{count(more, 'more line')} of the same kind")
        return answered(
            kind,
            BECAUSE[kind].format(what=what, function=first.function or "a Function"),
            seen=tuple(seen),
            places=_flat(lines[:MOST_PLACES]),
        )

    def _apart(self, derived: set[int], before: set[int], end: int) -> Answer | None:
        """Answer where nothing PyTorch computed from the tensor went into the loss."""
        left = [
            self.notes[index]
            for index in sorted(derived)
            if self.notes[index].what in LEAVING and index < end
        ]
        rebound = self.of_a_name()
        if rebound is not None:
            return rebound
        if not left:
            return self._unused(before, end)
        how = ", ".join(dict.fromkeys(LEAVING[note.what] for note in left))
        lines = list(dict.fromkeys(_lines_of(note) for note in reversed(left)))
        return answered(
            "left PyTorch",
            f"Nothing that PyTorch computed from it went into the loss; as {how} its values left "
            "PyTorch, where nothing is recorded.",
            places=_flat(lines[:MOST_PLACES]),
        )

    def _unused(self, before: set[int], end: int) -> Answer | None:
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
        loss = self.notes[end].place
        if first is not None and first > end and not self.notes[first].what:
            return self._met_afterwards(end, first)
        if first is not None and self.number is not None and first > end:
            return answered(
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
            "before the block, in another thread, or in compiled or scripted code: none of these "
            "is seen",
            seen=(
                f"the loss was computed at {loss}",
                f"leaves with a gradient that it was computed from: {len(leaves)}",
            ),
        )

    def _met_afterwards(self, end: int, first: int) -> Answer:
        """Answer of a tensor that was there before, and that no call used until the loss was."""
        later = [note for note in self.notes[first:] if any(g == first for g, _ in note.given)]
        lines = list(dict.fromkeys(_lines_of(note) for note in later))
        return Answer(
            "not used",
            "No operation of the watched block that led to the loss was given this tensor; it was "
            "met only after the loss was computed.",
            change="Compute the loss with it. If it belongs to a model, ask whether the loss was "
            "computed with that very model, and not with a copy or one made anew.",
            next="the watch around all of the way from the tensor to the loss, if a part of it ran "
            "before the block, in another thread, or in compiled or scripted code",
            seen=(f"the loss was computed at {self.notes[end].place}",),
            places=_flat(lines[:MOST_PLACES]),
        )


def _lines_of(note: Note) -> tuple[Place, ...]:
    """Give the line a note was taken on, before it the user's own where that is a library's."""
    return tuple(place for place in (note.user, note.place) if place is not None)


def _flat(lines: Iterable[tuple[Place, ...]]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(place for each in lines for place in each))


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


def _called(what: str) -> str:
    """Write a function's name as a reader would.

    >>> _called("argmax"), _called("__gt__")
    ('argmax', '>')
    """
    signs = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}
    return signs.get(what.strip("_"), what)
