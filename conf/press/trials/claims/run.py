"""Try claims on their worlds, and see that every stronger statement falls.

    python -m press.trials.claims.run               search every claim deeply
    python -m press.trials.claims.run ID ...        these claims
    python -m press.trials.claims.run --sample ID   as many cases as a build tries, quickly
    python -m press.trials.claims.run --write       and keep what was measured
    python -m press.trials.claims.run --store PATH  what a build does: try those that it names

A claim that falls is printed with the smallest program that refutes it.
"""

import argparse
import importlib.util
import multiprocessing
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from press import project
from press.trials.claims import kept
from press.trials.claims.record import CLAIMS, Refused
from press.trials.claims.trial import Outcome, attempt

# How many cases a search draws for a claim, and for how many seconds.
DEEP = 4000
SECONDS = 60.0


def load(paths: list[Path]) -> dict[str, str]:
    """Import modules of falsifiers; what is wrong with those that cannot be imported."""
    wrong = {}
    for path in paths:
        name = f"falsifiers.{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Refused as refused:
            wrong[path.name] = str(refused).replace(f"{project.ROOT.as_posix()}/", "")
        except Exception as error:
            wrong[path.name] = f"{path.name} raised {type(error).__name__}: {error}; mend it"
    return wrong


def tried(job: tuple[str, int, str, float]) -> Outcome:
    """Try one claim in this process."""
    id, count, seed, seconds = job
    torch.set_num_threads(1)
    return attempt(CLAIMS[id], count or CLAIMS[id].sample, seed=seed, until=seconds)


def try_all(jobs: list[tuple[str, int, str, float]], workers: int) -> list[Outcome]:
    """Try several claims, each in one of a few processes."""
    if workers > 1 and len(jobs) > 1 and "fork" in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            return pool.map(tried, jobs, chunksize=1)
    return [tried(job) for job in jobs]


def row(outcome: Outcome, key: str) -> dict:
    """What a page says of a trial, as plain data without durations."""
    claim = CLAIMS[outcome.id]
    about = {"key": key, "tried": claim.tried, "world": claim.world.sentence}
    place = claim.place.replace(f"{project.ROOT.as_posix()}/", "")
    return about | {"place": place} | asdict(replace(outcome, seconds=0.0))


def build(ids: list[str], store: Path, workers: int) -> int:
    """Try what is outdated, and store it beside what is not."""
    paths = {id: one.path for id, one in kept.falsifiers().items()}
    wrong = load(list(dict.fromkeys(paths[id] for id in ids if id in paths)))
    results = {id: found for id, found in kept.read(store).items() if id in paths}
    known = [id for id in ids if id in CLAIMS]
    for outcome in try_all([(id, 0, "", float("inf")) for id in known], workers):
        results[outcome.id] = row(outcome, kept.key(paths[outcome.id]))
    for id in ids:
        if id not in CLAIMS and id in paths:
            why = wrong.get(paths[id].name, "its module does not declare it")
            results[id] = {"key": "", "complaints": [why], "place": str(paths[id].name)}
    kept.write(results, store)
    return 0


def search(ids: list[str], options: argparse.Namespace) -> int:
    """Search for counterexamples, print what was found, and keep it if asked to."""
    wrong = load(kept.modules())
    for message in wrong.values():
        print(message)
    unknown = [id for id in ids if id not in CLAIMS]
    for id in unknown:
        print(f"there is no falsifier of {id}; there are: {', '.join(sorted(CLAIMS))}")
    chosen = [id for id in (ids or CLAIMS) if id in CLAIMS]
    count, seed = (0, "") if options.sample else (options.cases, "search ")
    jobs = [(id, count, seed and seed + id, options.seconds) for id in chosen]
    outcomes = try_all(jobs, options.jobs)
    for outcome in outcomes:
        print(told(outcome))
    if options.write:
        paths = {id: one.path for id, one in kept.falsifiers().items()}
        results = {id: r for id, r in kept.read(kept.SEARCHED).items() if id in paths}
        for outcome in outcomes:
            if outcome.complaints:
                results.pop(outcome.id, None)
            else:
                found = {n: getattr(outcome, n) for n in ("cases", "held", "exceptions", "noun")}
                results[outcome.id] = {"key": kept.key(paths[outcome.id]), **found}
        kept.write(results, kept.SEARCHED)
    lost = [] if options.sample or ids else kept.unstated()
    for one in lost:
        print(f"{one.place}: {one.id}: no page states this claim; state it, or remove it")
    fell = sum(bool(outcome.complaints) for outcome in outcomes)
    stronger = [control for outcome in outcomes for control in outcome.controls]
    print(
        f"\n{len(outcomes)} claims, {fell} to mend; "
        f"{sum(c['fell'] for c in stronger)} of {len(stronger)} stronger statements refuted; "
        f"{sum(outcome.seconds for outcome in outcomes):.0f} s of processor time"
    )
    return 1 if fell or wrong or unknown or lost else 0


def told(outcome: Outcome) -> str:
    """An outcome in lines."""
    lines = [
        f"{outcome.id}: held for {outcome.held:,} of {outcome.cases:,} {outcome.noun}, "
        f"{outcome.seconds:.1f} s"
    ]
    lines += [f"  exception, {n:,} times: {words}" for words, n in outcome.exceptions.items()]
    for control in outcome.controls:
        how = f"refuted by number {control['after']}" if control["fell"] else "SURVIVED"
        lines.append(f"  control {how}: {control['statement']}")
    for complaint in outcome.complaints:
        lines.append(f"  {CLAIMS[outcome.id].place}: {outcome.id}: {complaint}")
    if outcome.refuted:
        lines += ["", *(f"    {line}" for line in outcome.refuted.splitlines()), ""]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nox -s falsify --", description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", help="claims; without, every one")
    parser.add_argument("--cases", type=int, default=DEEP, help="how many to draw for each")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each claim, at most")
    parser.add_argument("--sample", action="store_true", help="only what a build tries")
    parser.add_argument("--write", action="store_true", help="keep what was measured")
    parser.add_argument("--store", type=Path, help="try what is outdated there, say nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    options = parser.parse_args(arguments)
    if options.store:
        return build(options.ids, options.store, options.jobs)
    return search(options.ids, options)


if __name__ == "__main__":
    sys.exit(main())
