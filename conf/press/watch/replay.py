"""Run a script again with everything autograd returns scaled: no honest comparison survives it.

Where a number came from cannot be told by looking at it.  A gradient copied from autograd
through a clone, NumPy or a list looks derived.  But scaled at its source it is scaled on *both*
sides of a comparison, which then still passes; a gradient derived by hand does not move.
"""

import ast
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
import torch.autograd.forward_ad as forward_ad

from press import programs
from press.observed.comparison import FACTOR, Replay
from press.watch.ledger import Ledger, watch

# What a replayed program calls where it has caught an exception.
NOTE = "__caught__"


@contextmanager
def sabotage(factor: float = FACTOR) -> Iterator[None]:
    """Multiply by ``factor`` whatever reverse and forward mode return.

    Reverse mode is linear in its seed, so the seeds are scaled, in the one function torch makes
    or checks them in for ``backward`` and ``grad`` alike; a tangent is scaled where it is read.
    ``gradcheck`` compares autograd with finite differences by itself, and ``opcheck`` with a traced
    program: they are left as they are.
    """
    real_make_grads = torch.autograd._make_grads
    real_unpack = forward_ad.unpack_dual

    def make_grads(*args, **kwargs):
        seeds = real_make_grads(*args, **kwargs)
        return tuple(None if seed is None else seed * factor for seed in seeds)

    def unpack_dual(tensor, **kwargs):
        primal, tangent = real_unpack(tensor, **kwargs)
        scaled = None if tangent is None else tangent * factor
        return forward_ad.UnpackedDualTensor(primal, scaled)

    def untouched(check):
        def call(*args, **kwargs):
            with (
                mock.patch.object(torch.autograd, "_make_grads", real_make_grads),
                mock.patch.object(forward_ad, "unpack_dual", real_unpack),
            ):
                return check(*args, **kwargs)

        return call

    with ExitStack() as patches:
        for owner, name, replacement in (
            (torch.autograd, "_make_grads", make_grads),
            (forward_ad, "unpack_dual", unpack_dual),
            (torch.autograd, "gradcheck", untouched(torch.autograd.gradcheck)),
            (torch.autograd, "gradgradcheck", untouched(torch.autograd.gradgradcheck)),
            (torch.library, "opcheck", untouched(torch.library.opcheck)),
        ):
            patches.enter_context(mock.patch.object(owner, name, replacement))
        yield


def replay(filename: str, source: str) -> Replay:
    """Run ``source`` under :func:`sabotage`, quietly, in an empty folder, asserts compiled out."""
    ledger = Ledger(filename, source, raises=False)
    caught: set[int] = set()
    with ExitStack() as around:
        around.enter_context(sabotage())
        around.enter_context(watch(ledger))
        around.enter_context(programs.quietly())
        around.enter_context(programs.empty_folder())
        try:
            # optimize=1 drops the asserts: they state facts that hold without sabotage.
            program, handlers = noting(source)
            code = compile(program, filename, "exec", dont_inherit=True, optimize=1)
            exec(code, {"__name__": "__main__", "__doc__": "", NOTE: caught.add})
        except (Exception, SystemExit) as raised:
            error = "".join(traceback.format_exception_only(raised)).strip()
            frames = traceback.extract_tb(raised.__traceback__)
            line = next((f.lineno for f in reversed(frames) if f.filename == filename), None)
            return Replay(tuple(ledger), error, line)
    return Replay(tuple(ledger), None, uncaught=tuple(sorted(handlers - caught)))


def noting(source: str) -> tuple[ast.Module, set[int]]:
    """The program that also notes which exceptions it catches, and the lines that wait for one.

    A comparison does not raise here, and asserts are left out: who waits for those is not asked.

    >>> noting("try:\\n    f()\\nexcept KeyError as error:\\n    print(error)")[1]
    {3}
    """
    program = ast.parse(source)
    lines = set()
    for node in ast.walk(program):
        if isinstance(node, ast.ExceptHandler) and "AssertionError" not in ast.dump(node):
            lines.add(node.lineno)
            call = ast.Call(ast.Name(NOTE, ast.Load()), [ast.Constant(node.lineno)], [])
            node.body.insert(0, ast.copy_location(ast.Expr(call), node.body[0]))
    return ast.fix_missing_locations(program), lines
