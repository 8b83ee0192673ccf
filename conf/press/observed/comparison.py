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
    after: int = 0  # how many passes of autograd had begun
    digests: tuple[str, str] = ("", "")  # what each side holds, to the last bit
    # The largest error in units of what each element allows, by its own size: not more than 1.
    own_scale: float = 0.0
    to_largest: float = 0.0  # the largest error beside the largest value
    is_square: bool = False  # a matrix that its transpose could stand for
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


@dataclass(frozen=True)
class Stillness:
    """Comparisons whose side by hand moved with autograd, and those of which nothing was told."""

    moved: tuple[Comparison, ...] = ()
    untold: tuple[Comparison, ...] = ()
