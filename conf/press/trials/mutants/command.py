"""Change every gradient by hand, one place at a time, and see it caught.

    nox -s mutants                                  what has changed since it was measured
    nox -s mutants -- --all                         everything
    nox -s mutants -- --check                       what has changed and, by the day, a tenth of the
                                                    rest: what is kept must say the same
    nox -s mutants -- --check --all                 the same of everything
    nox -s mutants -- examples/.../plot_x.py        these scripts
    nox -s mutants -- src/backwardpass/vjps/losses.py  these rules

In a script its comparisons have to notice, in a rule of the operator reference the cases it is
checked on.  A mutant that survives is named and fails the run, as does an entry of
``equivalent.toml`` that matches nothing.  Results are kept in ``measured.json``, which pages read,
and in full in ``_build/mutants.json``.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from multiprocessing.connection import wait
from pathlib import Path

from press.project import BUILD
from press.trials.mutants import results
from press.trials.mutants.results import Equivalent, Judged, Record

# Seconds of processor time for one mutant of a Target.
LIMIT = 10.0
# What has not changed is measured again on one day of so many.
TURNS = 10


def targets() -> list[tuple[str, str, Callable]]:
    """Everything there is to measure: name, source, and what makes the object to measure.

    Another client adds its ``mutation.mutants.Target`` objects here.
    """

    def script(name: str, source: str) -> Callable:
        def made():
            from press.trials.mutants.scripts import Script

            return Script(name, source)

        return made

    def rules(name: str, source: str) -> Callable:
        def made():
            from press.trials.operators.mutation import target

            return target(name.removeprefix("vjps/"), source)

        return made

    found = []
    for make, paths in ((script, results.scripts()), (rules, results.rules())):
        for path in paths:
            name, source = results.script_name(path), path.read_text("utf-8")
            found.append((name, source, make(name, source)))
    return found


def measure(make: Callable) -> list[Record]:
    """The outcome of every mutant of one target, each run in a child of this process."""
    from press.trials.mutants import fork
    from press.trials.mutants.mutants import Target

    made = make()
    if isinstance(made, Target):
        found = []
        for mutant in made.mutants():
            source = mutant.applied(made.source)
            found.append((mutant, fork.outcome_of(lambda s=source: made.run(s), LIMIT)))
    else:
        found = made.measure()
    return [Record(m.script, m.line, m.text, m.kind, m.change, o.words) for m, o in found]


def measure_all(chosen: dict[str, Callable], jobs: int) -> Iterator[tuple[str, list[Record] | str]]:
    """Measure each in a process of its own, ``jobs`` at a time; text is an error."""
    from press.trials.mutants.scripts import warm_up

    if any(map(results.is_rules, chosen)):
        from press.trials.operators.mutation import warm_up as warm_up_rules

        warm_up_rules()  # first, because what is imported now is shared with every process
    warm_up()
    fork = multiprocessing.get_context("fork")
    waiting, running = list(chosen.items()), {}

    def work(make: Callable, answer) -> None:
        try:
            answer.send(measure(make))
        except BaseException:
            answer.send(traceback.format_exc())

    while waiting or running:
        while waiting and len(running) < jobs:
            name, make = waiting.pop(0)
            reader, writer = fork.Pipe(duplex=False)
            process = fork.Process(target=work, args=(make, writer))
            process.start()
            writer.close()
            running[reader] = name, process
        for reader in wait(list(running)):
            name, process = running.pop(reader)
            try:
                answer = reader.recv()
            except EOFError:
                answer = f"{name}: the process that ran it ended without an answer"
            process.join()
            yield name, answer


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__.splitlines()[0])
    parser.add_argument(
        "paths", nargs="*", type=Path, help="scripts, modules of rules; without, what has changed"
    )
    parser.add_argument("--all", action="store_true", help="measure what has not changed too")
    parser.add_argument("--check", action="store_true", help="and compare with what is kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    options = parser.parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "agg")
    started = time.monotonic()
    entries, before = results.equivalents(), results.kept()
    known = targets()
    keys = {name: results.key_of(name, source, entries) for name, source, _ in known}
    chosen = {name: make for name, _, make in known if wanted(name, options, keys, before)}
    problems = [f"{e.script} in {results.EQUIVALENT.name}: nothing of that name is measured"
                for e in entries if e.script not in keys]  # fmt: skip
    problems += [stale_waiting(name) for name in results.waiting() if not waits(name, keys, before)]
    missing = [p for p in options.paths if results.script_name(p) not in keys]
    problems += [f"{path}: no script, and no module of rules" for path in missing]
    judged: dict[str, Judged] = {}
    if chosen:
        for name, answer in measure_all(chosen, options.jobs):
            if isinstance(answer, str):
                problems.append(answer)
                continue
            judged[name] = results.judge(name, keys[name], answer, entries)
            print(f"{name}: {judged[name].caught} of {len(judged[name].records)}", flush=True)
            for record in judged[name].survivors:
                print(f"  {record.line}: {record.text}: {record.change}", flush=True)
            if not options.check:
                keep({name: judged[name]}, keys)  # an interrupted run keeps what it has
    return report(judged, chosen, keys, before, problems, options, time.monotonic() - started)


def wanted(name: str, options: argparse.Namespace, keys: dict, before: dict) -> bool:
    if options.paths:
        return name in {results.script_name(path) for path in options.paths}
    changed = before.get(name, {}).get("key") != keys[name]
    if options.check and not options.all and changed and name in results.waiting():
        return False
    return options.all or changed or (options.check and in_turn(name, date.today()))


def waits(name: str, keys: dict, before: dict) -> bool:
    """Whether a target that is said to wait is there, and has not been measured as it is now."""
    return name in keys and before.get(name, {}).get("key") != keys[name]


def stale_waiting(name: str) -> str:
    return f"{name} in {results.WAITING.name}: it is measured, or gone; remove the entry"


def in_turn(name: str, day: date) -> bool:
    """Whether ``name`` belongs to the tenth that is measured again on that day.

    >>> days = [date.fromordinal(700_000 + n) for n in range(10)]
    >>> [in_turn("graph/plot_two_layer_mlp", day) for day in days].count(True)
    1
    """
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return number % TURNS == day.toordinal() % TURNS


def report(judged, chosen, keys, before, problems, options, seconds) -> int:
    """Print the table and every problem; keep what was measured."""
    current = {name: row for name, row in before.items() if row["key"] == keys.get(name)}
    rows = {name: row for name, row in current.items() if name not in chosen}
    rows |= {name: one.row() for name, one in judged.items() if not one.survivors}
    for _, one in sorted(judged.items()):
        problems += [record.survivor() for record in one.survivors]
        problems += [stale(entry) for entry in one.stale]
    write_full(judged)
    if not options.check:
        keep(judged, keys)
    if rows:
        print(f"\n{results.table(rows)}")
    print(
        f"\n{len(judged)} measured in {seconds:.0f} s, "
        f"{len(rows.keys() - judged.keys())} kept from before"
    )
    if options.check and as_kept(rows) != as_kept(before):
        different = sorted(n for n in rows.keys() | before.keys() if rows.get(n) != before.get(n))
        problems.append(
            f"{results.MEASURED.name} is not what was measured now, for {', '.join(different)}:\n"
            "  run nox -s mutants, and commit the file"
        )
    for problem in problems:
        print(f"\n{problem}")
    if problems:
        print(f"\n{len(problems)} to mend")
    return 1 if problems else 0


def keep(judged: dict[str, Judged], keys: dict[str, str]) -> None:
    """Put the rows of ``judged`` into what is kept, and take out survivors and what is outdated."""
    rows = {name: row for name, row in results.kept().items() if row["key"] == keys.get(name)}
    for name, one in judged.items():
        rows.pop(name, None)
        if not one.survivors:
            rows[name] = one.row()
    results.MEASURED.write_text(results.as_text(rows), "utf-8")


def as_kept(rows: dict) -> dict:
    """How a mutant was caught may differ between machines; that it was may not."""
    return {
        name: {**row, "caught": sum(row["caught"].values())} for name, row in sorted(rows.items())
    }


def stale(entry: Equivalent) -> str:
    return (
        f"{results.EQUIVALENT.name}: no mutant that survives matches this entry; remove it\n"
        f"    script = {entry.script}\n    line = {entry.line}\n    mutation = {entry.mutation}"
    )


def write_full(judged: dict[str, Judged]) -> None:
    folder = BUILD
    folder.mkdir(exist_ok=True)
    full = {
        name: {
            **one.row(),
            "survivors": [asdict(r) for r in one.survivors],
            "records": [asdict(r) for r in one.records],
            "equivalents": [asdict(r) for r in one.equivalent],
        }
        for name, one in sorted(judged.items())
    }
    text = json.dumps(full, indent=1, ensure_ascii=False)
    (folder / "mutants.json").write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
