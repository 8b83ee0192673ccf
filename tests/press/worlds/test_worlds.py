"""Every world: its cases run as scripts, define what they promise, and get smaller."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from press import worlds
from press.worlds import values

CONF = Path(__file__).resolve().parents[3] / "conf"
MADE = {
    "programs": ("leaves", "roots"),
    "operations": ("operation", "call", "args", "kwargs"),
    "values": ("x",),
    "states": ("x", "mode"),
    "models": ("model", "x", "output", "loss"),
}


@pytest.mark.parametrize("name", MADE)
def test_cases_define_their_names_and_get_smaller(name):
    """Each of sixty cases runs, and so do those below it, which end."""
    world = getattr(worlds, name)()
    assert world.sentence
    for case in world.cases("a test", 60):
        assert set(MADE[name]) <= case.names().keys()
        depth = 0
        while smaller := next(case.smaller(), None):
            case, depth = smaller, depth + 1
            assert set(MADE[name]) <= case.names().keys()
            assert depth < 100


@pytest.mark.parametrize("name", [name for name in MADE if name != "programs"])
def test_a_seed_draws_the_same_cases_in_every_process(name):
    """Python's random hashes decide nothing of what is drawn."""
    program = (
        f"import sys; sys.path.insert(0, {str(CONF)!r})\n"
        f"from press.worlds import {name}\n"
        f"for case in {name}().cases('a test', 30):\n"
        "    print(case.source())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            encoding="utf-8",
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1


@pytest.mark.filterwarnings("ignore")  # an operation says what it will do differently one day
def test_operations_run_as_functions_as_methods_and_in_place():
    """All three are drawn, and most results require a gradient."""
    world = worlds.operations()
    kinds, differentiable = set(), 0
    for case in world.cases("a test", 120):
        names = case.names()
        name = names["operation"]
        kinds.add("in place" if name.endswith("_") else name.rpartition(".")[0])
        result = names["call"](*names["args"], **names["kwargs"])
        tensors = torch.utils._pytree.tree_leaves(result)
        differentiable += any(getattr(t, "requires_grad", False) for t in tensors)
    assert {"in place", "torch", "torch.Tensor", "torch.nn.functional"} <= kinds
    assert differentiable > 100


def test_values_hold_what_their_world_names():
    """Empty, 0-d, expanded, strided and not finite tensors are drawn, and a subclass."""
    drawn = [case.names()["x"] for case in values().cases("a test", 300)]
    assert all(x.is_leaf and x.requires_grad for x in drawn)
    assert {x.dtype for x in drawn} == {getattr(torch, name) for name in values_dtypes()}
    assert any(x.numel() == 0 for x in drawn)
    assert any(x.dim() == 0 for x in drawn)
    assert any(x.numel() > 1 and set(x.stride()) == {0} for x in drawn)
    assert any(x.dim() == 1 and x.numel() > 1 and x.stride() == (2,) for x in drawn)
    assert any(x.isnan().any() for x in drawn)
    assert any(type(x) is not torch.Tensor for x in drawn)


def values_dtypes() -> tuple[str, ...]:
    from press.worlds.values import DTYPES

    return DTYPES
