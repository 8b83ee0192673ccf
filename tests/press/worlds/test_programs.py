"""Worlds: the same cases from the same seed, scripts that run, and smaller ones below each."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from press.worlds import Program, Script, World, case, programs
from press.worlds.programs import Step
from press.worlds.steps import RARE, WAYS

CONF = Path(__file__).resolve().parents[3] / "conf"


def drawn(world: World, count: int) -> list:
    return list(world.cases("a test", count))


def test_a_seed_draws_the_same_cases_in_every_process():
    """Python's random hashes decide nothing of what is drawn."""
    program = (
        f"import sys; sys.path.insert(0, {str(CONF)!r})\n"
        "from press.worlds import programs\n"
        "world = programs(without=['hook', 'thread'], often=['view', 'in-place'])\n"
        "for case in world.cases('a test', 60):\n"
        "    print(case.source())\n"
        "    print(*(smaller.source() for smaller in case.smaller()))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            encoding="utf-8",
        ).stdout
        for seed in ("0", "1")
    }
    (output,) = outputs
    assert output.count("import torch") > 60


def test_every_way_of_computing_is_drawn_and_can_be_differentiated():
    """Three hundred programs hold each way that is not left out, and a pass runs through each."""
    seen = set()
    for program in drawn(programs(), 300):
        names = program.names()
        seeds = [torch.ones_like(root) for root in names["roots"]]
        torch.autograd.backward(names["roots"], seeds)
        seen |= {step.way for step in program.steps}
    assert seen == {name for name, way in WAYS.items() if not way.kinds & RARE}


def test_a_world_leaves_out_and_prefers_kinds():
    """Of a kind left out there is none; one that is preferred is a third of all steps or more."""
    steps = [
        step.way
        for program in drawn(programs(without=["in-place"], often=["thread"]), 100)
        for step in program.steps
    ]
    assert not [way for way in steps if "in-place" in WAYS[way].kinds]
    assert steps.count("thread") > len(steps) / 4


def test_an_unknown_kind_is_refused():
    """The message says what came, and what there is."""
    with pytest.raises(ValueError, match=r"and got in_place; there are: .*in-place.*reentrant"):
        programs(without=["in_place"])


def test_smaller_programs_run_and_are_smaller():
    """None has more roots, leaves or steps, and each runs as it stands."""
    for program in drawn(programs(), 20):
        for smaller in program.smaller():
            assert len(smaller.steps) <= len(program.steps)
            assert smaller.leaves <= program.leaves
            assert smaller != program
            assert all(root.grad_fn for root in smaller.names()["roots"])


def test_trimming_drops_what_no_root_depends_on():
    """A leaf and a step that lead nowhere are gone, and values are numbered anew."""
    steps = (Step("sin", (0,)), Step("mul", (1, 1)))
    assert Program(2, steps, (3,))._trimmed() == Program(1, (Step("mul", (0, 0)),), (1,))


def test_a_small_world_ends():
    """A world with three cases gives three, however many are asked for."""

    def draw(choose: random.Random) -> Script:
        return Script(f"x = {choose.randrange(3)}")

    world = World("three", "three numbers", "numbers", draw)
    assert sorted(found.names()["x"] for found in world.cases("a test", 50)) == [0, 1, 2]


def test_each_run_of_a_case_is_a_new_one():
    """What one run wrote into its tensors the next does not find."""
    source = drawn(programs(), 1)[0].source()
    first, second = case.run(source), case.run(source)
    assert first["leaves"][0] is not second["leaves"][0]
