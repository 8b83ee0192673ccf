"""What a falsifier declares: its claim, the world it draws from, exceptions, and a control."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pages know claims without torch, which worlds import
    from press.worlds import World

Check = Callable[..., None]


class Refused(Exception):
    """A falsifier that cannot be used; the message says what to do."""


class NotOfTheWorld(Exception):
    """A case that the claim says nothing about."""


def assume(condition: object) -> None:
    """Leave out the case at hand where ``condition`` is false: the claim says nothing about it."""
    if not condition:
        raise NotOfTheWorld


@dataclass(frozen=True)
class Exempt:
    """A known exception: its words, and which cases it is about.

    Parameters
    ----------
    words : str
        What a page says of it, such as ``"two threads recorded"``.
    when : callable
        Takes names of the case, as the falsifier does, and returns whether it is one of these.
    """

    words: str
    when: Callable[..., object]


@dataclass(frozen=True)
class Control:
    """A statement that is too strong, and has to fall."""

    statement: str
    check: Check
    world: "World | None" = None  # another than that of the claim


@dataclass
class Claim:
    """A claim's falsifier; statement and domain stand in the chapter, under the same id."""

    id: str
    world: "World"
    check: Check
    exceptions: tuple[Exempt, ...] = ()
    controls: list[Control] = field(default_factory=list)
    sample: int = 100

    @property
    def tried(self) -> str:
        """How it is tried, in words: the docstring of the falsifier."""
        return " ".join((inspect.getdoc(self.check) or "").split())

    @property
    def place(self) -> str:
        """The file and line of the falsifier."""
        code = inspect.unwrap(self.check).__code__
        return f"{Path(code.co_filename).as_posix()}:{code.co_firstlineno}"


# The registry: every claim that has a falsifier, by its id.
CLAIMS: dict[str, Claim] = {}


def claim(
    id: str,
    *,
    world: "World",
    exceptions: Sequence[Exempt] = (),
    control: str = "",
    sample: int = 100,
) -> Callable[[Check], Check]:
    """Declare the decorated function the falsifier of a claim.

    It takes names that the cases of ``world`` define, raises AssertionError where the claim does
    not hold, and is used again by its controls.

    Parameters
    ----------
    id : str
        The name under which a chapter states the claim.
    world : World
        What it is tried on.
    exceptions : sequence of Exempt
        What is known not to hold: each has to be met in the sample, and to break the claim there.
    control : str
        With exceptions: the statement without them, which falls by itself.  Any other control is a
        function decorated with :func:`control`.
    sample : int
        How many cases a build draws.

    Raises
    ------
    Refused
        The id has a falsifier already, or there is nothing to drop for ``control``.
    """

    def declared(check: Check) -> Check:
        made = Claim(id, world, check, tuple(exceptions), [], sample)
        if id in CLAIMS:
            raise Refused(
                f"{made.place}: the claim {id} has a falsifier at {CLAIMS[id].place} already; "
                "give one of them another id"
            )
        if control and not exceptions:
            raise Refused(
                f"{made.place}: the claim {id} has no exception that control=... could drop; "
                "write the control as a function under @control"
            )
        if control:
            made.controls.append(Control(control, check))
        CLAIMS[id] = made
        return check

    return declared


def control(id: str, statement: str, *, world: "World | None" = None) -> Callable[[Check], Check]:
    """Declare the decorated function the falsifier of a stronger statement, which has to fall.

    Parameters
    ----------
    id : str
        The claim whose control this is, declared above.
    statement : str
        The stronger statement, in words.
    world : World, optional
        Where the statement is stronger because its world is wider: that world.
    """

    def declared(check: Check) -> Check:
        if id not in CLAIMS:
            code = check.__code__
            raise Refused(
                f"{code.co_filename}:{code.co_firstlineno}: a control of the claim {id}, which "
                "has no falsifier above; declare it with @claim first"
            )
        CLAIMS[id].controls.append(Control(statement, check, world))
        return check

    return declared
