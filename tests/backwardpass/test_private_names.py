"""What of PyTorch is private is touched in one module, ``read/pytorch.py``."""

import ast
import re
from pathlib import Path

import pytest
import torch

from backwardpass.read import pytorch

PACKAGE = Path(pytorch.__file__).parents[1]
HOME = "read/pytorch.py"
# Attributes with an underscore that are the package's own: set on its classes, or named in them.
DUNDER = re.compile(r"__\w+__")


def modules() -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def own_names(trees: dict[str, ast.Module]) -> set[str]:
    """Private names that the package itself defines: methods, fields, functions, classes."""
    found = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    found.add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return {name for name in found if name.startswith("_") and not DUNDER.fullmatch(name)}


def private(source: str, own: set[str]) -> list[str]:
    """List the private names a module touches that are not the package's own.

    Attributes of whatever object, names that are imported, modules on the way to them, and names
    given to getattr(), setattr() and hasattr() as strings.
    """
    touched = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            touched.append(node.attr)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("backward"):
            touched += [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            touched += [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("attr"):
            parts = [part for given in node.args for part in ast.walk(given)]
            touched += [part.value for part in parts if isinstance(part, ast.Constant)]
    return [
        name
        for name in touched
        if isinstance(name, str) and re.match(r"_[a-zA-Z]", name) and name not in own
    ]


@pytest.fixture(scope="module")
def own() -> set[str]:
    trees = {name: ast.parse((PACKAGE / name).read_text("utf-8")) for name in modules()}
    found = own_names({name: tree for name, tree in trees.items() if name != HOME})
    # A name that PyTorch has too is nobody's own.
    places = (torch.Tensor, torch.autograd, torch._C, torch.autograd.graph.Node)
    return {name for name in found if not any(hasattr(place, name) for place in places)}


# The standard library's; and the way through nested arguments, which PyTorch has under no public
# name, for the rules, which use no instrument.
ALLOWED = {
    "read/caller.py": {"_getframe"},
    "explain/forwards.py": {"_getframe"},
    # Asked before anything else can be: without it nothing is read.
    "read/needed.py": {"_C"},
    "vjps/_chain.py": {"_pytree"},
    # An operation that is called by this name alone.
    "vjps/layers.py": {"_upsample_bilinear2d_aa"},
}


@pytest.mark.parametrize("name", [name for name in modules() if name != HOME])
def test_no_other_module_touches_a_private_name(name, own):
    """No attribute of a node or tensor, no function of torch that has an underscore."""
    source = (PACKAGE / name).read_text("utf-8")
    assert set(private(source, own)) == ALLOWED.get(name, set())


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("torch._C.DisableTorchFunction()", "_C"),
        ("node._raw_saved_self", "_raw_saved_self"),
        ("node._input_metadata", "_input_metadata"),
        ("tensor.untyped_storage()._cdata", "_cdata"),
        ("torch.autograd._engine_run_backward = gateway", "_engine_run_backward"),
        ("getattr(type(node), '_forward_cls', None)", "_forward_cls"),
        ("getattr(node, f'_raw_saved_{field}')", "_raw_saved_"),
        ("from torch.utils._pytree import tree_leaves", "_pytree"),
        ("from torch.utils.checkpoint import _Holder", "_Holder"),
        ("import torch._functorch", "_functorch"),
    ],
)
def test_a_private_name_is_seen(line, name, own):
    """Each way to reach for one is found by the test above."""
    assert name in private(line, own)


def test_how_many_private_names_are_used():
    """The one module that touches them touches few: 29 uses of 20 names, once 35 of 22."""
    used = private((PACKAGE / HOME).read_text("utf-8"), set())
    names = sorted(set(used))
    print(len(used), "uses of", len(names), "private names:", *names)
    assert len(used) <= 29
    assert len(names) <= 20


def test_this_version_has_every_name():
    """What the package would like of PyTorch is there, from that of the book on."""
    if torch.__version__ < (2, 13):
        pytest.skip("on older versions abilities() says what is not there")
    assert pytorch.lacking() == frozenset()


def test_a_name_that_is_gone_is_named(monkeypatch):
    """Where a version lacks a function, its name is listed."""
    before = pytorch.lacking()
    monkeypatch.delattr(torch.autograd, "_get_sequence_nr")
    assert pytorch.lacking() - before == {"torch.autograd._get_sequence_nr"}
