"""Random autograd programs: plain data that is printed as a script, run, and made smaller."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from press.worlds import case
from press.worlds.steps import RARE, WAYS

# Different numbers, without symmetry, none of them at a kink of what is computed from them.
NUMBERS = (
    (0.3, 0.8, 0.1, 1.2),
    (1.1, 0.4, 0.9, 0.6),
    (0.7, 1.3, 0.2, 1.6),
    (0.45, 0.95, 1.4, 0.15),
    (1.7, 0.35, 1.05, 0.85),
)
SENTENCE = (
    "programs of up to 14 lines over vectors of four float64 numbers: branches, shared nodes, "
    "paths that cancel, several outputs of which one is used, views, writes in place and through "
    "views, custom Functions (one returns None), checkpoints of both kinds, hooks, lines that "
    "another thread records, and up to three roots"
)


@dataclass(frozen=True)
class Step:
    """One way of :data:`~press.worlds.steps.WAYS`, the numbers of the values it takes, a choice."""

    way: str
    uses: tuple[int, ...]
    choice: int = 0


@dataclass(frozen=True)
class Program:
    """Leaves, steps and roots; value ``i`` is a leaf, or the result of step ``i - leaves``.

    >>> program = Program(1, (Step("mul", (0, 0)),), (1,))
    >>> print(program.source())
    import torch
    <BLANKLINE>
    x0 = torch.tensor([0.3, 0.8, 0.1, 1.2], dtype=torch.float64, requires_grad=True)
    v1 = x0 * x0
    leaves, roots = [x0], [v1]
    >>> program.names()["roots"][0].grad_fn.name()
    'MulBackward0'
    """

    leaves: int
    steps: tuple[Step, ...]
    roots: tuple[int, ...]

    def source(self) -> str:
        """The program as a script that defines ``leaves`` and ``roots``."""
        names = [self._name(i) for i in range(self.leaves + len(self.steps))]
        needs = dict.fromkeys(WAYS[step.way].needs for step in self.steps)
        needs.pop("", None)
        lines = ["import torch"]
        lines += [need.rstrip() for need in needs if need.startswith(("import", "from"))]
        lines += ["", *(f"\n{n}\n" for n in needs if not n.startswith(("import", "from")))]
        for i in range(self.leaves):
            numbers = list(NUMBERS[i])
            made = f"torch.tensor({numbers}, dtype=torch.float64, requires_grad=True)"
            lines.append(f"{names[i]} = {made}")
        for i, step in enumerate(self.steps, self.leaves):
            values = dict(zip("ab", (names[use] for use in step.uses), strict=False))
            lines.append(WAYS[step.way].text.format(new=names[i], i=step.choice, **values))
        ends = ", ".join(names[root] for root in self.roots)
        lines.append(f"leaves, roots = [{', '.join(names[: self.leaves])}], [{ends}]")
        return "\n".join(lines)

    def names(self) -> dict[str, object]:
        """What the script defines, computed anew, and the ``kinds`` of its steps."""
        kinds = {kind for step in self.steps for kind in (step.way, *WAYS[step.way].kinds)}
        return case.run(self.source()) | {"kinds": kinds}

    def smaller(self) -> Iterator["Program"]:
        """The same with fewer roots, steps or leaves, then with simpler steps."""
        for program in self._changed():
            if min(program.roots) >= program.leaves:  # a root is computed
                yield program

    def _changed(self) -> Iterator["Program"]:
        for root in self.roots if len(self.roots) > 1 else ():
            yield replace(self, roots=(root,))._trimmed()
        for root in self.roots:
            if root >= self.leaves:  # a value it is computed from, in its place
                for use in dict.fromkeys(self.steps[root - self.leaves].uses):
                    other = tuple(use if r == root else r for r in self.roots)
                    yield replace(self, roots=tuple(dict.fromkeys(other)))._trimmed()
        for i in reversed(range(len(self.steps))):
            for use in dict.fromkeys(self.steps[i].uses):
                yield self._without(i, use)._trimmed()
        for leaf in range(1, self.leaves):
            yield self._instead(leaf, 0)._trimmed()
        order = list(WAYS)
        for i, step in enumerate(self.steps):
            for way in order[: order.index(step.way)]:
                if not WAYS[way].kinds:
                    uses = step.uses * WAYS[way].takes
                    yield self._with(i, Step(way, uses[: WAYS[way].takes]))
            if step.choice:
                yield self._with(i, replace(step, choice=0))

    def _name(self, i: int) -> str:
        return f"x{i}" if i < self.leaves else f"v{i}"

    def _with(self, i: int, step: Step) -> "Program":
        return replace(self, steps=(*self.steps[:i], step, *self.steps[i + 1 :]))._trimmed()

    def _without(self, i: int, use: int) -> "Program":
        """The program without step ``i``; what used its result uses the value ``use``."""
        return self._instead(self.leaves + i, use)

    def _instead(self, value: int, other: int) -> "Program":
        def moved(uses: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(other if use == value else use for use in uses)

        steps = tuple(replace(step, uses=moved(step.uses)) for step in self.steps)
        return replace(self, steps=steps, roots=tuple(dict.fromkeys(moved(self.roots))))

    def _trimmed(self) -> "Program":
        """Without the leaves and the steps that no root depends on, numbered anew."""
        needed, waiting = set(), list(self.roots)
        while waiting:
            value = waiting.pop()
            if value not in needed:
                needed.add(value)
                if value >= self.leaves:
                    waiting += self.steps[value - self.leaves].uses
        number = {value: i for i, value in enumerate(sorted(needed))}
        steps = tuple(
            replace(step, uses=tuple(number[use] for use in step.uses))
            for i, step in enumerate(self.steps, self.leaves)
            if i in needed
        )
        leaves = sum(value < self.leaves for value in needed)
        return Program(leaves, steps, tuple(number[root] for root in self.roots))


def programs(
    without: Iterable[str] = (), often: Iterable[str] = (), most: int = 14, roots: int = 3
) -> case.World:
    """The world of programs, without the ways of some kinds, such as ``"reentrant"``.

    Parameters
    ----------
    without : iterable of str
        Kinds of :data:`~press.worlds.steps.WAYS`, or names of ways.
    often : iterable of str
        Kinds or names of ways from which every third step is taken.
    most : int
        The most steps of a program.
    roots : int
        The most roots.
    """
    without, often = tuple(without), tuple(often)
    left_out = _ways([*without, *(RARE - set(often))])
    ways = [name for name in WAYS if name not in left_out]
    chosen = [name for name in ways if name in _ways(often)]

    def draw(choose: random.Random) -> Program:
        leaves = choose.randint(1, len(NUMBERS))
        steps: list[Step] = []
        # Half of the programs are short: there a claim has fewer ways to hold by chance.
        for _ in range(choose.randint(1, choose.choice([4, most]))):
            way = choose.choice(chosen if chosen and choose.random() < 1 / 3 else ways)
            # Late values are taken more often, so that programs are deep as well as wide.
            last = leaves + len(steps) - 1
            uses = tuple(
                choose.choice([last, choose.randint(0, last), choose.randint(0, last)])
                for _ in range(WAYS[way].takes)
            )
            steps.append(Step(way, uses, choose.randrange(WAYS[way].choices)))
        last = leaves + len(steps) - 1
        ends = [last, *(choose.randint(leaves, last) for _ in range(choose.randrange(roots)))]
        return Program(leaves, tuple(steps), tuple(dict.fromkeys(ends)))._trimmed()

    sentence = SENTENCE + (f", without {', '.join(without)}" if without else "")
    sentence += f", often {', '.join(often)}" if often else ""
    return case.World("programs", sentence, "programs", draw)


def _ways(names: Iterable[str]) -> set[str]:
    """The ways of those kinds or names."""
    known = {name for way, made in WAYS.items() for name in (way, *made.kinds)}
    if unknown := sorted(set(names) - known):
        raise ValueError(
            f"a world of programs takes kinds or names of ways, and got {', '.join(unknown)}; "
            f"there are: {', '.join(sorted(known))}"
        )
    return {way for way, made in WAYS.items() if {way, *made.kinds} & set(names)}
