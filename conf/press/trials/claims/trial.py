"""Try a claim on its world, and its controls, and make what refutes it smaller."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

from press.trials.claims import paste
from press.trials.claims.record import Claim, Control, Exempt, NotOfTheWorld
from press.worlds import Case, World

# How many smaller cases are tried for one that refutes.
PATIENCE = 200


@dataclass
class Outcome:
    """What a claim did in its world; ``complaints`` fail the build, one line each."""

    id: str
    noun: str
    cases: int = 0
    held: int = 0
    exceptions: dict[str, int] = field(default_factory=dict)
    controls: list[dict] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    refuted: str = ""  # the smallest script that refutes it
    seconds: float = 0.0  # of processor time


def held(check: Callable, case: Case) -> AssertionError | None:
    """Ask ``check`` of a case: None where it holds, else what was wrong.

    Raises
    ------
    NotOfTheWorld
        The claim says nothing about this case.
    """
    names = case.names()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(*(names[name] for name in paste.arguments(check)))
    except AssertionError as wrong:
        return wrong
    return None


def exempt(exceptions: tuple[Exempt, ...], case: Case) -> str:
    """The words of the exception that a case belongs to, or nothing."""
    for known in exceptions:
        names = case.names()
        if known.when(*(names[name] for name in paste.arguments(known.when))):
            return known.words
    return ""


def attempt(claim: Claim, count: int, *, seed: str = "", until: float = float("inf")) -> Outcome:
    """Try a claim on ``count`` cases, and each control until it falls."""
    started = time.process_time()
    outcome = Outcome(claim.id, claim.world.noun)
    outcome.exceptions = dict.fromkeys((known.words for known in claim.exceptions), 0)
    for case in claim.world.cases(seed or claim.id, count):
        if time.process_time() - started > until:
            break
        if not _judge(claim, case, outcome):
            break
    if not outcome.cases and not outcome.complaints:
        outcome.complaints.append(
            "its falsifier drew no case; widen its world, or take out an assume(...)"
        )
    if not outcome.complaints:
        outcome.complaints += [
            f'the exception "{words}" was met by no case; remove it, or widen the world'
            for words, times in outcome.exceptions.items()
            if not times
        ]
    if not claim.controls:
        outcome.complaints.append(
            "it has no control; write the stronger statement that has to fall under "
            f'@control("{claim.id}", ...)'
        )
    outcome.controls = [_try_control(claim, control, outcome) for control in claim.controls]
    outcome.seconds = time.process_time() - started
    return outcome


def _judge(claim: Claim, case: Case, outcome: Outcome) -> bool:
    """Count one case, and say whether to go on."""
    try:
        wrong = held(claim.check, case)
    except NotOfTheWorld:
        return True
    except Exception as error:
        kind = type(error)
        case = _smallest(case, lambda c: _raises(claim.check, c, kind))
        outcome.cases += 1
        outcome.refuted = paste.script(case.source(), claim.check)
        outcome.complaints.append(
            f"its falsifier raised {type(error).__name__}: {_first_line(error)}; let it "
            "assert, or leave the case out with assume(...)"
        )
        return False
    outcome.cases += 1
    if wrong is None:
        outcome.held += 1
        return True
    words = exempt(claim.exceptions, case)
    if words:
        outcome.exceptions[words] += 1
        return True
    case = _smallest(case, lambda c: _refutes(claim, c))
    outcome.refuted = paste.script(case.source(), claim.check)
    outcome.complaints.append(
        f"it does not hold: {_first_line(wrong)}; bound it, or teach the exception"
    )
    return False


def _try_control(claim: Claim, control: Control, outcome: Outcome) -> dict:
    """Draw from the sample of a build until the stronger statement falls."""
    world: World = control.world or claim.world
    row = {"statement": control.statement, "fell": False, "after": 0, "case": ""}
    for case in world.cases(claim.id, claim.sample):
        try:
            wrong = held(control.check, case)
        except NotOfTheWorld:
            continue
        except Exception as error:
            outcome.complaints.append(
                f'its control "{control.statement}" raised {type(error).__name__}: '
                f"{_first_line(error)}; a control falls by an assert"
            )
            return row
        row["after"] += 1
        if wrong is not None:
            smaller = _smallest(case, lambda c: _falls(control.check, c))
            return row | {"fell": True, "case": smaller.source()}
    outcome.complaints.append(
        f'its control "{control.statement}" survived {row["after"]} {world.noun}: the '
        "falsifier cannot see what it is to rule out; widen its world, or mend it"
    )
    return row


def _refutes(claim: Claim, case: Case) -> bool:
    return _falls(claim.check, case) and not exempt(claim.exceptions, case)


def _falls(check: Callable, case: Case) -> bool:
    return held(check, case) is not None


def _raises(check: Callable, case: Case, kind: type) -> bool:
    try:
        held(check, case)
    except NotOfTheWorld:
        return False
    except Exception as error:
        return type(error) is kind
    return False


def _smallest(case: Case, refutes: Callable[[Case], bool]) -> Case:
    """The smallest case found that still refutes."""
    tries, going = 0, True
    while going and tries < PATIENCE:
        going = False
        for smaller in case.smaller():
            tries += 1
            if _still(refutes, smaller):
                case, going = smaller, True
                break
            if tries >= PATIENCE:
                break
    return case


def _still(refutes: Callable[[Case], bool], case: Case) -> bool:
    """Whether a smaller case refutes; one that cannot run at all does not."""
    try:
        return refutes(case)
    except Exception:
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
