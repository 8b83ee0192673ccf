"""A rule that a script shows as right is checked there: broken on purpose, the script fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "stepping_in"

# Script, what stands in it, and what breaks it.  Each is a mistake of its own kind.
BROKEN = {
    "square, factor": ("rules_by_hand", "return 2 * u * x", "return 3 * u * x"),
    "square, cotangent": ("rules_by_hand", "return 2 * u * x", "return 2 * x"),
    "sum, other weight": ("rules_by_hand", "(1 - w) * u if to_y", "w * u if to_y"),
    "sum, sign": ("rules_by_hand", "values[0] - values[1])", "values[1] - values[0])"),
    "sum, dropped": ("rules_by_hand", ".sum() if to_w else None", ".sum() if False else None"),
    "sum, saves too much": ("rules_by_hand", "else inputs[2:]", "else inputs"),
    "softmax, diagonal": (
        "rules_by_hand",
        "return s * (u - (u * s).sum(-1, keepdim=True))",
        "return u * s * (1 - s)",
    ),
    "softmax, axis": (
        "rules_by_hand",
        "return s * (u - (u * s).sum(-1, keepdim=True))",
        "return s * (u - (u * s).sum(0, keepdim=True))",
    ),
    "sigmoid, factor": ("rules_by_hand", "return u * y * (1 - y)", "return u * y"),
    "stub, solved": ("rules_by_hand", "        pass\n", "        return u\n"),
    "bell, sign": ("what_ctx_is_for", "return -u * x * y", "return u * x * y"),
    "bell, result": ("what_ctx_is_for", "return -u * x * y", "return -u * x"),
    "saved, changed before": (
        "what_ctx_is_for",
        "ctx.save_for_backward(x)\n        return x * x",
        "ctx.save_for_backward(x.clone())\n        return x * x",
    ),
    "dirty, not marked": ("what_ctx_is_for", "        ctx.mark_dirty(x)\n", ""),
    "position, not marked": (
        "what_ctx_is_for",
        "ctx.mark_non_differentiable(position)",
        "pass",
    ),
    "largest, everywhere": (
        "what_ctx_is_for",
        "return u * torch.nn.functional.one_hot(index, ctx.length).to(u.dtype), None",
        "return u.expand(ctx.length), None",
    ),
    "two outputs, None": ("what_ctx_is_for", "sum(parts) if parts else None", "sum(parts)"),
    "output, as attribute": (
        "what_ctx_is_for",
        "        ctx.save_for_backward(y)\n        return y\n\n    @staticmethod\n",
        "        ctx.y = y\n        ctx.save_for_backward(y)\n        return y\n\n"
        "    @staticmethod\n",
    ),
    "sinh, from constants": (
        "differentiated_twice",
        "return u * (x.exp() + (-x).exp()) / 2",
        "return u * (x.exp() + (-x).exp()).detach() / 2",
    ),
    "sinh, terms of outputs": (
        "differentiated_twice",
        "return u * (a + b) / 2 + u_a * a - u_b * b",
        "return u * (a + b) / 2",
    ),
    "sinh, sign of one": ("differentiated_twice", "- u_b * b", "+ u_b * b"),
    "once, not marked": ("differentiated_twice", "    @once_differentiable\n", ""),
    "rectifier, at zero": ("straight_through", "torch.where(x > 0, u", "torch.where(x >= 0, u"),
    "rectifier, side": (
        "straight_through",
        "torch.where(x > 0, u, 0.0)",
        "torch.where(x < 0, u, 0.0)",
    ),
    "estimator, scaled": (
        "straight_through",
        "        return u\n\n\n# %%\n# Straight through, without",
        "        return 2 * u\n\n\n# %%\n# Straight through, without",
    ),
    "estimator, not detached": (
        "straight_through",
        "(quarters(x) - x).detach()",
        "(quarters(x) - x)",
    ),
    "transforms, rule": (
        "functions_and_transforms",
        "return u * (1 + x) * torch.exp(x)",
        "return u * x * torch.exp(x)",
    ),
    "transforms, tangent": (
        "functions_and_transforms",
        "return (1 + x) * torch.exp(x) * v",
        "return (1 - x) * torch.exp(x) * v",
    ),
    "transforms, no batches": (
        "functions_and_transforms",
        "    generate_vmap_rule = True",
        "    generate_vmap_rule = False",
    ),
    "hyperbolic, same again": (
        "functions_and_transforms",
        "Hyperbolic.apply(x, 1 - ctx.which)",
        "Hyperbolic.apply(x, ctx.which)",
    ),
    "hyperbolic, batch": (
        "functions_and_transforms",
        "return Hyperbolic.apply(x, which), in_dims[0]",
        "return Hyperbolic.apply(x, which), None",
    ),
    "operator, sign": (
        "operator_of_ones_own",
        "return u * torch.exp(-x * x)",
        "return u * torch.exp(x * x)",
    ),
    "operator, saves a copy": (
        "operator_of_ones_own",
        "ctx.save_for_backward(*inputs)",
        "ctx.save_for_backward(inputs[0].detach() * 1)",
    ),
    "operator, shape": (
        "operator_of_ones_own",
        "lambda x: torch.empty_like(x))",
        "lambda x: x.new_empty(1))",
    ),
}

# One process that has imported torch runs all of them, each in a fork, as many at a time as there
# are processors.
RUNNER = """
import json, os, sys

import matplotlib, numpy, torch

matplotlib.use("agg")
torch.set_num_threads(1)
waiting, running, verdicts = json.load(sys.stdin), {}, {}
while waiting or running:
    if waiting and len(running) < (os.cpu_count() or 1):
        name, source = waiting.popitem()
        read, write = os.pipe()
        child = os.fork()
        if child:
            os.close(write)
            running[child] = name, read
            continue
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            exec(compile(source, name, "exec"), {"__name__": "__main__"})
            said = "nothing"
        except BaseException as error:
            said = type(error).__name__
        os.write(write, said.encode())
        os._exit(0)
    name, read = running.pop(os.wait()[0])
    with os.fdopen(read) as pipe:
        verdicts[name] = pipe.read()
print(json.dumps(verdicts))
"""


def source_of(script: str) -> str:
    return (EXAMPLES / f"plot_{script}.py").read_text("utf-8")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each script ends with, first as it is, then broken."""
    sources = {script: source_of(script) for script, _, _ in BROKEN.values()}
    for name, (script, old, new) in BROKEN.items():
        sources[name] = sources[script].replace(old, new)
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        timeout=1200,
        cwd=tmp_path_factory.mktemp("broken"),
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_noticed(name: str, verdicts: dict[str, str]):
    """The script as it stands ends well; with one rule broken it raises, by a check of its own."""
    script, old, new = BROKEN[name]
    assert source_of(script).count(old) >= 1, f"{old!r} is no longer in plot_{script}.py"
    assert old != new
    assert verdicts[script] == "nothing"
    assert verdicts[name] in ("AssertionError", "GradcheckError", "OpCheckError", "RuntimeError")
