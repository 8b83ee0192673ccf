"""What one run of a script showed, as typed records, and the same as JSON has it.

Whoever reads what is kept beside a page gets an :class:`Observed` and its parts; dictionaries are
known to this module alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backwardpass.graph import BackwardPass, Graph
from press.observed.comparison import Comparison
from press.observed.failure import Failure


@dataclass(frozen=True)
class Drawing:
    """A graph that a script showed, and what ran over it."""

    title: str
    line: int  # which asked for it
    graph: Graph
    lines: tuple[int | None, ...] = ()  # that recorded each of its nodes, where they are known
    svg: str = ""  # empty where it could not be drawn
    table: str = ""
    # Each pass that ran it, by its number from 0: its nodes, and where they stand in the drawing.
    passes: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    recorded: tuple[int, ...] = ()  # its nodes in the order in which they were recorded

    def as_dict(self) -> dict[str, Any]:
        """The drawing as plain data."""
        return {
            "title": self.title,
            "line": self.line,
            "graph": self.graph.as_dict(),
            "lines": list(self.lines),
            "svg": self.svg,
            "table": self.table,
            "passes": {index: dict(places) for index, places in self.passes.items()},
            "recorded": list(self.recorded),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Drawing":
        """Undo :meth:`as_dict`, also after JSON made strings of numbers that are keys."""
        return cls(
            title=data["title"],
            line=data["line"],
            graph=Graph.from_dict(data["graph"]),
            lines=tuple(data["lines"]),
            svg=data["svg"],
            table=data["table"],
            passes={
                int(index): {int(node): place for node, place in places.items()}
                for index, places in data["passes"].items()
            },
            recorded=tuple(data["recorded"]),
        )


class Passes(Sequence[BackwardPass]):
    """Recorded passes as they are kept, each read when it is asked for.

    A script records up to hundreds, and a page shows three.
    """

    def __init__(self, kept: Sequence[Mapping[str, Any]]):
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Passes(self._kept[index])
        return BackwardPass.from_dict(self._kept[index])


@dataclass(frozen=True)
class Observed:
    """One run of one script: what it compared, drew and ran backward, and what is wrong with it.

    >>> observed = Observed(completed=True, failures=(Failure("a.py", 3, "nan", "is NaN"),))
    >>> Observed.from_dict(observed.as_dict()).failures
    (Failure(script='a.py', line=3, gate='nan', message='is NaN'),)
    """

    completed: bool  # it reached its end
    comparisons: tuple[Comparison, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    passes: Sequence[BackwardPass] = ()
    failures: tuple[Failure, ...] = ()
    printed: str = ""  # on both streams, as far as it ran in the gallery

    def as_dict(self) -> dict[str, Any]:
        """The records as plain data."""
        return {
            "completed": self.completed,
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "drawings": [drawing.as_dict() for drawing in self.drawings],
            "passes": [recorded.as_dict() for recorded in self.passes],
            "failures": [asdict(failure) for failure in self.failures],
            "printed": self.printed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Observed":
        """Undo :meth:`as_dict`.

        Raises
        ------
        KeyError, TypeError
            ``data`` is something else.
        """
        return cls(
            completed=data["completed"],
            comparisons=tuple(map(_comparison, data["comparisons"])),
            drawings=tuple(map(Drawing.from_dict, data["drawings"])),
            passes=Passes(data["passes"]),
            failures=tuple(Failure(**failure) for failure in data["failures"]),
            printed=data["printed"],
        )


def _comparison(data: Mapping[str, Any]) -> Comparison:
    shapes = tuple(None if shape is None else tuple(shape) for shape in data["shapes"])
    pairs = {name: tuple(data[name]) for name in ("dtypes", "digests")}
    return Comparison(**{**data, "shapes": shapes, **pairs})
