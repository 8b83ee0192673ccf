"""What one comparison was, and what one replay showed: plain data, known without torch."""

from dataclasses import dataclass

BY_HAND = "by hand"
EQUALITY = "equality"
# What the replay multiplies everything by that autograd returns.
FACTOR = 1.5


@dataclass(frozen=True)
class Comparison:
    """One tensor against another, as one call of ``assert_close`` compared them."""

    line: int
    end_line: int  # where the call that compared them ends
    call: int  # which call of assert_close of the script, counted from 0
    kind: str  # BY_HAND or EQUALITY
    name: str
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]  # None: not numbers
    dtypes: tuple[str, str]
    max_abs: float | None  # None where no error can be computed (shapes differ, not numbers)
    max_rel: float | None
    rtol: float
    atol: float
    passed: bool
    has_nan: bool
    default_tolerance: bool  # no looser than the default of its dtype
    numel: int
    replayed_max_abs: float | None = None  # its error in the replay, once there was one

    @property
    def exact_dtype(self) -> bool:
        """Whether both sides are in double precision, real or complex."""
        return all(dtype in ("float64", "complex128") for dtype in self.dtypes)


@dataclass(frozen=True)
class Replay:
    """What the sabotaged run compared and did not catch, and the error that ended it early."""

    comparisons: tuple[Comparison, ...]
    ended_early: str | None
    line: int | None = None
    uncaught: tuple[int, ...] = ()  # lines that wait for an exception none of which came
