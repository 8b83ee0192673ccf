"""Check the rules and store what was found.

python -m press.trials.operators.run                    every rule, the stored result refreshed
python -m press.trials.operators.run softmax cumprod    those rules, printed
"""

import argparse
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import sys
import warnings
from collections import Counter
from pathlib import Path

import torch

from backwardpass import vjps
from press import kept
from press.project import CONSTRAINTS
from press.trials.operators import cases as _cases
from press.trials.operators import names as _names
from press.trials.operators import summary as _summary
from press.trials.operators import twice
from press.trials.operators import variants as _variants
from press.trials.operators.check import CHECKS, Check
from press.trials.operators.saving import saved

HERE = Path(__file__).parent
DTYPES = {"float64": torch.float64, "complex128": torch.complex128}
# What every result depends on.
MODULES = (
    "cases",
    "check",
    "compare",
    "entries",
    "layouts",
    "names",
    "run",
    "saving",
    "twice",
    "variants",
)
# Of a case that is differentiated a second time, or called by other names: so many an entry.
TWICE, CALLED = 3, 1


def examine(rule: vjps.Rule) -> dict:
    """Check one rule on every case of every entry it answers for."""
    rows, kept, cases, moved = {}, [], [], set()
    for entry in _sampled(rule):
        op = _cases.opinfos()[entry]
        dtypes = op.supported_backward_dtypes("cpu") if op.supports_autograd else set()
        found = []
        for name, dtype in DTYPES.items():
            if dtype in dtypes:
                bases: list[Check] = []
                row = rows[f"{entry} {name}"] = _row(rule, entry, dtype, kept, bases, moved)
                _ask_more(row, rule, entry, bases, dtypes)
                found = found or bases
        samples = [base.case for base in found if not base.case.label.startswith("edge")]
        edges = [base.case for base in found if base.case.label.startswith("edge")]
        cases += [(entry, case) for case in samples[:CALLED] + edges[:CALLED]]
    about = _about(rule)
    gone = [entry for entry in rule.entries if entry not in _sampled(rule)]
    failed = [["-", "samples", "-", f"PyTorch has none under the name {entry}"] for entry in gone]
    reached = {}
    for name in () if gone else (*about["functions"], *about["methods"]):
        last = name.rpartition(".")[2]
        own = [c for e, c in cases if vjps.public_name(e).rpartition(".")[2] == last]
        reached[name] = _by_name(rule, name, own or [case for _, case in cases], failed)
    failed += [] if gone else _unreached(rule, reached, moved)
    return {"about": about, "rows": rows, "saved": kept, "failed": failed, "called": reached}


def _sampled(rule: vjps.Rule) -> list[str]:
    """The entries of a rule that this PyTorch has samples of: an older one lacks some."""
    return [entry for entry in rule.entries if entry in _cases.opinfos()]


def _ask_more(row: dict, rule: vjps.Rule, entry: str, bases: list[Check], dtypes: set) -> None:
    """Other dtypes, mixed ones, infinities, and the rule's own derivative."""
    asked = row["asked"] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, made in _variants.asked(entry, rule.family, bases, dtypes):
            outcome = made.compare()
            label = f"{made.case.label}, {kind}"
            row["failed"] += [[label, *failure] for failure in outcome.failed]
            asked[kind] = asked.get(kind, 0) + (not outcome.declined)
        smooth = [base for base in bases if "finite" not in base.case.skipped]
        for base in smooth[:TWICE] if not rule.once else ():
            try:
                off = twice.compared(base)
            except twice.NotMade:
                continue
            asked["twice"] = asked.get("twice", 0) + 1
            if not off <= twice.LIMIT:
                told = f"its derivative is off by {off:.2g} from double backward"
                row["failed"].append([base.case.label, "twice", "all", told])
    is_complex = row["dtype"] == "complex128"
    for dtype in _variants.DTYPES:
        name = str(dtype).removeprefix("torch.")
        if dtype in dtypes and dtype.is_complex == is_complex and name not in asked and bases:
            row["failed"].append(["every case", "dtype", "-", f"{name} was not tried"])


def _by_name(rule: vjps.Rule, name: str, cases: list, failed: list) -> int:
    """How many calls under one name were compared; what is wrong goes to ``failed``."""
    number = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for made, wrong in _names.checked(rule, name, cases):
            if made is None:
                failed.append(["-", "name", "-", wrong])
                continue
            outcome = made.compare()
            told = [[f"{name}, {made.case.label}", *failure] for failure in outcome.failed]
            failed += told
            number += not told and not outcome.declined
    return number


def _unreached(rule: vjps.Rule, reached: dict[str, int], moved: set[str]) -> list[list[str]]:
    """Names and options that no case reached."""
    left = [name for name, number in reached.items() if not number and name not in _names.UNCALLED]
    told = [["-", "name", "-", f"no case was compared under the name {name}"] for name in left]
    options = sorted(_names.options(rule) - moved)
    return told + [["-", "option", name, f"no case moved the option {name}"] for name in options]


def _about(rule: vjps.Rule) -> dict:
    """What a page says of a rule, as plain data: Sphinx reads this and never imports torch."""
    functions, methods = {}, {}
    for entry in _sampled(rule):
        op = _cases.opinfos()[entry]
        name = vjps.public_name(entry)
        (methods if name.startswith("torch.Tensor.") else functions)[name] = None
        functions |= dict.fromkeys(f"torch.{alias.name}" for alias in op.aliases)
        if hasattr(torch.Tensor, getattr(op.method_variant, "__name__", "")) and op.name[0] != "_":
            methods[f"torch.Tensor.{op.method_variant.__name__}"] = None
    functions |= dict.fromkeys(f"torch.{name}" for name in rule.also)
    known = ("name", "entries", "latex", "saved", "domain", "kinks", "source", "family", "once")
    return {name: getattr(rule, name) for name in (*known, "derivation", "code", "helpers")} | {
        "functions": list(functions),
        "methods": [name for name in methods if name not in functions],
        "modules": [f"torch.nn.{name}" for name in rule.modules],
    }


def _row(
    rule: vjps.Rule,
    entry: str,
    dtype: torch.dtype,
    kept: list,
    bases: list[Check],
    moved: set[str],
) -> dict:
    """Check every case; what further questions start from is added to ``bases``."""
    function = _cases.function(entry)
    row: dict = {
        "samples": 0, "edges": 0, "compared": 0, "gradients": 0,
        "empty": 0, "zero": 0, "not finite": 0,
        "declined": Counter(), "refused": Counter(), "differs": Counter(), "failed": [],
        "labels": [], "dtype": str(dtype).removeprefix("torch."),
        "checks": {c: {"made": 0, "worst": 0.0, "skipped": Counter()} for c in CHECKS},
    }  # fmt: skip
    samples = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in _cases.cases(entry, dtype):
            is_sample = case.label.startswith("sample")
            row["samples" if is_sample else "edges"] += 1
            if not is_sample:
                row["labels"].append(case.label.removeprefix("edge: "))
            if is_sample:
                samples.append(_described(case))
            made_of = Check(rule.gradient, function, case, dtype)
            outcome = made_of.run()
            moved |= _names.moved(rule.gradient, [case])
            _keep(made_of, bases)
            row["failed"] += [[case.label, *failure] for failure in outcome.failed]
            if outcome.declined or outcome.refused:
                kind = "declined" if outcome.declined else "refused"
                row[kind][outcome.declined or outcome.refused] += 1
                continue
            for name, reason in outcome.differs.items():
                row["differs"][f"{name}: {reason}"] += 1
            row["gradients"] += outcome.gradients
            if not outcome.failed and "autograd" not in outcome.differs:
                row[outcome.trivial or "compared"] += 1
            for name, made in row["checks"].items():
                if name in outcome.skipped:
                    made["skipped"][outcome.skipped[name]] += 1
                if name in outcome.error and not outcome.failed:
                    made["made"] += not outcome.trivial
                    made["worst"] = max(made["worst"], outcome.error[name])
            if _telling(case, kept) and not outcome.trivial and not outcome.failed:
                found = saved(function, rule.gradient, case)
                kept[:] = [{"call": _described(case), "size": _size(case), "tensors": found}]
    for name, (_, reason) in _cases.KNOWN.get((entry, dtype), {}).items():
        if f"{name}: {reason}" not in row["differs"]:
            told = f"agrees everywhere, and is said not to: {reason}"
            row["failed"].append(["every sample", name, "all", told])
    row["digest"] = digest(samples)
    return row


def _keep(made: Check, bases: list[Check]) -> None:
    """Start from it, where it was compared and is not empty: few samples, all edge cases."""
    outcome = made.outcome
    if outcome.failed or outcome.declined or outcome.refused or outcome.trivial == "empty":
        return
    if "autograd" in outcome.differs or any(
        isinstance(x, torch.Tensor) and x.numel() == 0 for x in made.leaves
    ):
        return
    samples = sum(not base.case.label.startswith("edge") for base in bases)
    if made.case.label.startswith("edge") or samples < 4:
        bases.append(made)


def digest(samples: list[str]) -> str:
    """A few letters for all samples of an entry, whose order may change from run to run."""
    return hashlib.sha256("\n".join(sorted(samples)).encode()).hexdigest()[:16]


def _telling(case: _cases.Case, kept: list) -> bool:
    """Whether what is saved is better shown on this case: on the first with four numbers."""
    return not kept or kept[0]["size"] < 4 <= _size(case)


def _size(case: _cases.Case) -> int:
    from torch.utils._pytree import tree_flatten

    leaves = tree_flatten((case.args, case.kwargs))[0]
    return min((leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor)), default=0)


def _described(case: _cases.Case) -> str:
    """A call without its numbers: shapes for tensors, everything else as it is."""
    from torch.utils._pytree import tree_map

    def shown(value: object) -> object:
        if isinstance(value, torch.Tensor):
            return _Text(f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}")
        return value

    args, kwargs = tree_map(shown, (case.args, case.kwargs))
    named = [f"{name}={value!r}" for name, value in kwargs.items()]
    return ", ".join([*map(repr, args), *named])


class _Text(str):
    def __repr__(self) -> str:
        return str(self)


def failures(results: dict[str, dict]) -> list[list[str]]:
    """Each failure: the rule, the entry and dtype, the case, the check, the argument, the error."""
    return [
        [name, entry, *failure]
        for name, result in results.items()
        for entry, row in [("its names", {"failed": result["failed"]}), *result["rows"].items()]
        for failure in row["failed"]
    ]


def keys() -> dict[str, str]:
    """For each family, the key under which its results are current."""
    shared = hashlib.sha256(importlib.metadata.version("torch").encode())
    shared.update(CONSTRAINTS.read_bytes())
    rules = Path(vjps.__file__).parent
    common = [HERE / f"{name}.py" for name in MODULES]
    common += rules.glob("_*.py")
    for path in sorted(common, key=lambda path: path.name):
        shared.update(path.read_bytes())
    made = {}
    for family in vjps.FAMILIES:
        key = shared.copy()
        for path in (rules / f"{family}.py", HERE / "edges" / f"{family}.py"):
            key.update(path.read_bytes() if path.is_file() else b"")
        made[family] = key.hexdigest()
    return made


def run(names: list[str], jobs: int) -> dict[str, dict]:
    """Examine those rules, several at a time, the longest first."""
    torch.set_num_threads(1)
    slow = ("solve_triangular", "max_pool2d", "max_pool1d", "gaussian_nll_loss", "svd")
    order = sorted(names, key=list(vjps.RULES).index)
    names = sorted(names, key=lambda name: name not in slow)
    if jobs == 1 or len(names) == 1 or "fork" not in multiprocessing.get_all_start_methods():
        return {name: examine(vjps.RULES[name]) for name in order}
    _cases.opinfos()  # imported once, before the workers part
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        found = dict(zip(names, pool.map(_examined, names, chunksize=1), strict=True))
    return {name: found[name] for name in order}


def _examined(name: str) -> dict:
    torch.set_num_threads(1)
    return examine(vjps.RULES[name])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("rules", nargs="*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--store", type=Path, help="where the results lie, and are refreshed")
    parser.add_argument("--summary", action="store_true", help="keep the counts in summary.json")
    parser.add_argument("--families", help="only those, separated by commas")
    options = parser.parse_args()
    families = options.families.split(",") if options.families else list(vjps.FAMILIES)
    if options.store is None:
        chosen = [name for name, rule in vjps.RULES.items() if rule.family in families]
        found = run(options.rules or chosen, options.jobs)
        for result in found.values():
            for entry, row in result["rows"].items():
                _print(entry, row)
    else:
        found = refreshed(options.store, families, options.jobs)
    if options.summary:
        _summary.write(
            _summary.summary(torch.__version__, found), whole=set(found) == set(vjps.RULES)
        )
    wrong = failures(found)
    if options.store is None:
        for failure in wrong:
            print("FAILED", *failure)
    return 1 if wrong else 0


def refreshed(store: Path, families: list[str], jobs: int) -> dict[str, dict]:
    """The stored results of those families, made again where something changed."""
    now = keys()
    try:
        stored = json.loads(store.read_text("utf-8"))
        stored["keys"], stored["results"]
    except (OSError, ValueError, KeyError, TypeError):
        stored = {"keys": {}, "results": {}}
    rules = {name: rule for name, rule in vjps.RULES.items() if rule.family in families}
    todo = [
        name
        for name, rule in rules.items()
        if stored["keys"].get(rule.family) != now[rule.family] or name not in stored["results"]
    ]
    results = stored["results"] | (run(todo, jobs) if todo else {})
    results = {name: results[name] for name in vjps.RULES if name in results}
    now = stored["keys"] | {family: now[family] for family in families}
    contents = {"torch": torch.__version__, "families": vjps.FAMILIES, "keys": now}
    before = _summary.read()
    changes = list(_summary.changes(before, _summary.summary(torch.__version__, results)))
    if set(results) != set(vjps.RULES):
        changes = []  # a part of the book: what is missing is not lost
    contents |= {"results": results, "failures": failures(results)}
    text = json.dumps(contents | {"before": before["torch"], "changes": changes})
    kept.write(store, text)
    return {name: results[name] for name in rules}


def _print(entry: str, row: dict) -> None:
    marks = " ".join(f"{c} {m['made']} ({m['worst']:.0e})" for c, m in row["checks"].items())
    print(
        f"{entry}: {row['samples']}+{row['edges']}, compared {row['compared']} "
        f"(empty {row['empty']}, zero {row['zero']}, not finite {row['not finite']}); {marks}"
    )
    for kind in ("declined", "refused"):
        for reason, times in row[kind].items():
            print(f"    {kind} {times}: {reason}")
    for check_name, made in row["checks"].items():
        for reason, times in made["skipped"].items():
            print(f"    {check_name} skipped {times}: {reason}")


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # PyTorch's tests draw some samples from sets: the same ones, whoever asks.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(
            sys.executable, [sys.executable, "-m", "press.trials.operators.run", *sys.argv[1:]]
        )
    sys.exit(main())
