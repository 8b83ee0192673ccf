"""What a whole build compared, added up."""

from collections.abc import Iterable
from dataclasses import dataclass

from press import project
from press.observed import store
from press.observed.comparison import BY_HAND
from press.observed.records import Observed


@dataclass(frozen=True)
class Totals:
    """How much was compared, and the largest error of a gradient by hand."""

    scripts: int
    by_hand: int
    equalities: int
    worst: float
    worst_at: str
    worst_in: str = ""

    @classmethod
    def of(cls, observations: Iterable[tuple[str, Observed]]) -> "Totals":
        """Add up ``(script's path, what was observed)``; the worst error is the largest by hand."""
        scripts, compared = 0, []
        for script, observed in observations:
            scripts += 1
            compared += [(comparison, script) for comparison in observed.comparisons]
        by_hand = [(c, script) for c, script in compared if c.kind == BY_HAND]
        errors = [(c.max_abs, c, script) for c, script in by_hand if c.max_abs is not None]
        worst, at, script = max(errors, key=lambda entry: entry[0], default=(0.0, None, ""))
        place = f'"{at.name}", {script}:{at.line}' if at else "nothing was compared by hand"
        return cls(scripts, len(by_hand), len(compared) - len(by_hand), worst, place, script)

    def __str__(self) -> str:
        return (
            f"{_count(self.scripts, 'script')}: {_count(self.by_hand, 'comparison')} of a gradient "
            f"by hand with autograd, {_count(self.equalities, 'other equality')}; "
            f"worst error by hand {self.worst:.2g} ({self.worst_at})"
        )


def _count(number: int, what: str) -> str:
    """A number and a noun.

    >>> _count(1, "script"), _count(0, "other equality")
    ('1 script', '0 other equalities')
    """
    several = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else several}"


def observations() -> list[tuple[str, Observed]]:
    """Each script that was executed, by its path below the root, with what was observed."""
    kept = ((script, store.read(script)) for script in project.scripts())
    return [
        (script.relative_to(project.ROOT).as_posix(), observed)
        for script, observed in kept
        if observed is not None
    ]
