"""What came of all mutants: judged against the list of equivalent ones, kept, and printed."""

import ast
import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from press.judge import slices
from press.kept import fields, reading
from press.project import CONF, EXAMPLES, RULES

HERE = Path(__file__).parent
MEASURED = HERE / "measured.json"
EQUIVALENT = HERE / "equivalent.toml"
WAITING = HERE / "waiting.toml"
OPERATORS = HERE.with_name("operators")
# What judges a rule, beside its cases.
JUDGES = ("another_mind", "cases", "check", "compare", "layouts", "mutation", "variants")
COMPARISON, SURVIVED = "comparison", "survived"
# The columns of the table: what caught a mutant, in the words of ``Outcome``.
CAUGHT = (COMPARISON, "equality", "raised", "timed out")

KINDS = {
    "operator": "another operator: `+` for `-`, `*` for `/` or `@`",
    "sign": "a minus added or left out",
    "constant": "another number, `True` for `False`",
    "factor": "a factor, divisor or power left out",
    "term": "a term of a sum left out, or an update in place",
    "swapped": "the operands of `-`, `/`, `@`, `**` or `where` in the other order",
    "transpose": "a transpose left out",
    "dimension": "another dimension, or none",
    "comparison": "`<` for `<=` or `>`, `and` for `or`, the other branch",
    "index": "the neighbouring index, a slice shorter by one, a loop shorter by one",
    "function": "another function: `sin` for `cos`, `sum` for `mean`; or none",
    # Of rules alone, in the manner of another author.
    "threshold": "a threshold moved from 0 to 10⁻¹²",
    "branch": "a branch cut at -50",
    "tie": "a mask that multiplies where it selected",
    "conjugate": "a conjugate dropped",
    "clamp": "a clamp added to an exponent, or lost",
    "option": "an option ignored: its default in its place",
    "written": "the cotangent doubled where it lies",
    "dtype": "float64 for the dtype of an argument",
}


# What to do about a survivor: of a script, of a module of rules.
ADVICE = (
    "  Let the data or the shapes tell the two apart: no zeros or ones, no equal sizes,\n"
    "  no symmetry, every result compared.",
    "  Add a case that tells the two apart to the module of the same name in\n"
    "  conf/press/trials/operators/edges.",
)


@dataclass(frozen=True)
class Record:
    """One mutant and its outcome, as plain data."""

    script: str
    line: int
    text: str
    kind: str
    change: str
    outcome: str

    def survivor(self) -> str:
        """What a person reads: where, what it was, what it became, and what to do."""
        folder = "src/backwardpass" if is_rules(self.script) else "examples"
        return (
            f"{folder}/{self.script}.py:{self.line}: {self.kind}: no comparison notices\n"
            f"    {self.text}\n"
            f"    {self.change}\n"
            f"{ADVICE[is_rules(self.script)]}\n"
            f"  If both compute the same for any data, add to {EQUIVALENT.name}:\n{self.entry()}"
        )

    def entry(self) -> str:
        """The entry that declares it equivalent, but for the reason."""
        values = {"script": self.script, "line": self.text, "mutation": self.change, "reason": ""}
        lines = [f"    {key} = {_toml(value)}" for key, value in values.items()]
        return "\n".join(["    [[equivalent]]", *lines])


def _toml(text: str) -> str:
    return f"'{text}'" if "'" not in text else json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class Equivalent:
    """A mutant that computes the same as its original, and why."""

    script: str
    line: str
    mutation: str
    reason: str

    def matches(self, record: Record) -> bool:
        return (self.script, self.line, self.mutation) == (
            record.script,
            record.text,
            record.change,
        )


def equivalents(path: Path = EQUIVALENT) -> list[Equivalent]:
    """The entries of ``path``; each has a reason."""
    if not path.exists():
        return []
    entries = tomllib.loads(path.read_text("utf-8")).get("equivalent", [])
    found = []
    for number, entry in enumerate(entries, 1):
        wanted = set(Equivalent.__dataclass_fields__)
        if set(entry) != wanted or not all(str(entry[key]).strip() for key in wanted):
            raise ValueError(
                f"{path.name}, entry {number}: needs {', '.join(sorted(wanted))}, none of them "
                f"empty; it has {', '.join(sorted(entry))}"
            )
        found.append(Equivalent(**entry))
    return found


def waiting(path: Path = WAITING) -> dict[str, str]:
    """Targets that no measurement is asked of yet, each with the reason; pages name them."""
    if not path.exists():
        return {}
    entries = tomllib.loads(path.read_text("utf-8")).get("waiting", [])
    for number, entry in enumerate(entries, 1):
        if set(entry) != {"target", "reason"} or not all(
            str(text).strip() for text in entry.values()
        ):
            raise ValueError(
                f"{path.name}, entry {number}: needs target and reason, neither of them empty; "
                f"it has {', '.join(sorted(entry))}"
            )
    return {entry["target"]: entry["reason"] for entry in entries}


@dataclass(frozen=True)
class Judged:
    """All mutants of one target, with those that are equivalent taken out."""

    name: str
    key: str
    records: tuple[Record, ...]
    equivalent: tuple[Record, ...]
    stale: tuple[Equivalent, ...]  # entries that match no surviving mutant

    @property
    def survivors(self) -> list[Record]:
        return [r for r in self.records if r.outcome == SURVIVED]

    @property
    def caught(self) -> int:
        return len(self.records) - len(self.survivors)

    def row(self) -> dict:
        """What is kept in ``mutants.json`` of a target without survivors."""
        kinds = Counter(r.kind for r in self.records)
        caught = Counter(r.outcome for r in self.records)
        return {
            "key": self.key,
            "mutants": len(self.records),
            "caught": {how: caught[how] for how in CAUGHT if caught[how]},
            "kinds": {kind: kinds[kind] for kind in KINDS if kinds[kind]},
            "equivalent": len(self.equivalent),
        }


def judge(name: str, key: str, records: Iterable[Record], entries: list[Equivalent]) -> Judged:
    """Take out of ``records`` the survivors that an entry declares equivalent."""
    records, entries = list(records), [e for e in entries if e.script == name]
    equivalent, used = [], set()
    for record in records:
        for entry in entries:
            if record.outcome == SURVIVED and entry.matches(record):
                equivalent.append(record)
                used.add(entry)
    kept = tuple(r for r in records if r not in equivalent)
    stale = tuple(e for e in entries if e not in used)
    return Judged(name, key, kept, tuple(equivalent), stale)


def key_of(name: str, source: str, entries: list[Equivalent] | None = None) -> str:
    """What a measurement depends on: code without its prose, what judges it, the entries."""
    entries = equivalents() if entries is None else entries
    digest = hashlib.sha256(engine().encode())
    digest.update(_code(source).encode())
    for path in judges(name):
        digest.update(_code(path.read_text("utf-8")).encode())
    for entry in entries:
        if entry.script == name:
            digest.update(json.dumps(asdict(entry), sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _code(source: str) -> str:
    """A source without comments, docstring and layout: what people write changes nothing."""
    tree = ast.parse(source)
    if ast.get_docstring(tree) is not None:
        del tree.body[0]
    return ast.unparse(tree)


def engine() -> str:
    """The sources that make and run mutants, and the version of torch."""
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(slices.__file__)]
    made = hashlib.sha256(b"".join(path.read_bytes() for path in sources if path != Path(__file__)))
    pinned = re.search(r"^torch==\S+", (CONF / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    return made.hexdigest() + pinned.group()


def judges(name: str) -> list[Path]:
    """What decides on a change of a module of rules, the module apart; nothing for a script."""
    if not is_rules(name):
        return []
    found = [OPERATORS / f"{stem}.py" for stem in JUDGES]
    found += [RULES / f"{stem}.py" for stem in ("_chain", "_registry", "_shared")]
    if name == "vjps/_shared":  # rules of every family judge it
        return [
            *found,
            RULES / "__init__.py",
            *rules(),
            *sorted((OPERATORS / "edges").glob("*.py")),
        ]
    edges = OPERATORS / "edges" / f"{name.removeprefix('vjps/')}.py"
    return [*found, edges] if edges.is_file() else found  # a module of helpers has none


def is_rules(name: str) -> bool:
    """Whether it is a module of rules, and not a script."""
    return name.startswith("vjps/")


def script_name(path: Path) -> str:
    """The name of a script, or of a module of rules: its folder and its own."""
    return "/".join(path.with_suffix("").parts[-2:])


def scripts() -> list[Path]:
    return sorted(EXAMPLES.glob("*/plot_*.py"))


def rules() -> list[Path]:
    """The modules of ``backwardpass.vjps`` that compute gradients."""
    return sorted(
        p for p in RULES.glob("*.py") if p.stem not in ("__init__", "_chain", "_registry")
    )


def kept(path: Path = MEASURED) -> dict[str, dict]:
    """The rows that are kept, by target.

    Raises
    ------
    KeptError
        The file is of another form.
    """
    if not path.exists():
        return {}
    with reading(path, "nox -s mutants"):
        rows = json.loads(path.read_text("utf-8"))["targets"]
        for row in rows.values():
            for name in ("key", "mutants", "caught", "kinds", "equivalent"):
                row[name]
    return rows


def as_text(rows: dict[str, dict]) -> str:
    """``measured.json``: a line for each target, so that two changes merge."""
    return fields({"targets": rows}) + "\n"


def table(rows: dict[str, dict]) -> str:
    """Each target, how its mutants were caught, and the totals; below, the same by kind."""
    names = [*sorted(rows), "all"]
    total = {
        "caught": sum((Counter(row["caught"]) for row in rows.values()), Counter()),
        "mutants": sum(row["mutants"] for row in rows.values()),
        "equivalent": sum(row["equivalent"] for row in rows.values()),
    }
    width = max(map(len, names))
    heads = ("caught", "of", "by comparison", "equality", "raised", "timed out", "equivalent")
    lines = [f"{'':{width}}  " + "  ".join(f"{h:>{len(h)}}" for h in heads)]
    for name in names:
        row = total if name == "all" else rows[name]
        caught = row["caught"]
        values = (sum(caught.values()), row["mutants"], *(caught.get(how, 0) for how in CAUGHT))
        values = (*values, row["equivalent"])
        cells = (f"{value:{len(head)}}" for value, head in zip(values, heads, strict=True))
        lines.append(f"{name:{width}}  " + "  ".join(cells))
    kinds = sum((Counter(row["kinds"]) for row in rows.values()), Counter())
    lines += ["", "by kind: " + ", ".join(f"{kind} {kinds[kind]}" for kind in KINDS if kinds[kind])]
    return "\n".join(lines)
