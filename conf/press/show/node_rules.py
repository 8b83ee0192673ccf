"""Which rule of the operator reference a node of a graph applies, by the node's name.

The registry is read as source: its own module imports torch, and pages are read without it.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from press import project

# Where PyTorch's name of a node is not that of the operation, or is that of several: the name in
# PyTorch's operator tests.
OTHER_NAMES = {
    "div": "div.no_rounding_mode",
    "native_layer_norm": "nn.functional.layer_norm",
    "native_batch_norm": "nn.functional.batch_norm",
    "unsafe_view": "view",
}
# Nodes whose name tells the operator in other words; the number tells what several share.
NODES = {
    "AdaptiveAvgPool2DBackward0": "nn.functional.adaptive_avg_pool2d",
    "AdaptiveAvgPool3DBackward0": "nn.functional.adaptive_avg_pool3d",
    "AdaptiveMaxPool2DBackward0": "nn.functional.adaptive_max_pool2d",
    "AdaptiveMaxPool3DBackward0": "nn.functional.adaptive_max_pool3d",
    "AvgPool2DBackward0": "nn.functional.avg_pool2d",
    "AvgPool3DBackward0": "nn.functional.avg_pool3d",
    "BatchNormWithUpdateBackward0": "_batch_norm_with_update",
    "CholeskyBackward0": "linalg.cholesky_ex",
    "Deg2RadBackward0": "deg2rad",
    "FractionalMaxPool2DBackward0": "nn.functional.fractional_max_pool2d",
    "FractionalMaxPool3DBackward0": "nn.functional.fractional_max_pool3d",
    "GridSampler2DBackward0": "grid_sampler_2d",
    "GridSampler3DBackward0": "grid_sampler_3d",
    "Im2ColBackward0": "nn.functional.unfold",
    "IndexBackward0": "__getitem__",
    "IndexReduceBackward0": "index_reduce.mean",
    "Log1PBackward0": "log1p",
    "LogSigmoidBackward0": "nn.functional.logsigmoid",
    "MaxBackward0": "max.reduction_with_dim",
    "MaxBackward1": "max.reduction_no_dim",
    "MaxPool2DWithIndicesBackward0": "nn.functional.max_pool2d",
    "MaxPool2DWithIndicesBackwardBackward0": "max_pool2d_with_indices_backward",
    "MaxPool3DWithIndicesBackward0": "nn.functional.max_pool3d",
    "MaxUnpool2DBackward0": "nn.functional.max_unpool2d",
    "MaxUnpool3DBackward0": "nn.functional.max_unpool3d",
    "MinBackward0": "min.reduction_with_dim",
    "MinBackward1": "min.reduction_no_dim",
    "MvlgammaBackward0": "mvlgamma.mvlgamma_p_1",
    "NativeBatchNormLegitBackward0": "nn.functional.batch_norm",
    "NllLoss2DBackward0": "nn.functional.nll_loss",
    "NormBackward1": "norm.fro",
    "PolygammaBackward0": "polygamma.polygamma_n_1",
    "PreluKernelBackward0": "nn.functional.prelu",
    "Rad2DegBackward0": "rad2deg",
    "ReflectionPad1DBackward0": "nn.functional.pad.reflect",
    "ReflectionPad2DBackward0": "nn.functional.pad.reflect",
    "ReflectionPad3DBackward0": "nn.functional.pad.reflect",
    "ReplicationPad1DBackward0": "nn.functional.pad.replicate",
    "ReplicationPad2DBackward0": "nn.functional.pad.replicate",
    "ReplicationPad3DBackward0": "nn.functional.pad.replicate",
    "ReshapeAliasBackward0": "view",
    "RreluWithNoiseBackward0": "nn.functional.rrelu",
    "SafeSoftmaxBackward0": "torch.ops.aten._safe_softmax.default",
    "ScatterReduceBackward0": "scatter_reduce.sum",
    "SegmentReduceBackward0": "_segment_reduce.lengths",
    "SoftmaxBackwardDataBackward0": "_softmax_backward_data",
    "SpecialI0EBackward0": "special.i0e",
    "SpecialI1EBackward0": "special.i1e",
    "SpecialXlog1PyBackward0": "special.xlog1py",
    "ToCopyBackward0": "to",
    "TrilinearBackward0": "nn.functional.bilinear",
    "UnfoldBackward0": "unfold_copy",
    "UnsafeMaskedIndexBackward0": "_unsafe_masked_index",
    "UnsafeMaskedIndexPutAccumulateBackward0": "_unsafe_masked_index_put_accumulate",
    "UpsampleBicubic2DBackward0": "nn.functional.interpolate.bicubic",
    "UpsampleBilinear2DAaBackward0": "_upsample_bilinear2d_aa",
    "UpsampleBilinear2DBackward0": "nn.functional.interpolate.bilinear",
    "UpsampleLinear1DBackward0": "nn.functional.interpolate.linear",
    "UpsampleNearest1DBackward0": "nn.functional.interpolate.nearest",
    "UpsampleNearest2DBackward0": "nn.functional.interpolate.nearest",
    "UpsampleNearest3DBackward0": "nn.functional.interpolate.nearest",
    "UpsampleNearestExact1DBackward0": "nn.functional.interpolate.nearest-exact",
    "UpsampleNearestExact2DBackward0": "nn.functional.interpolate.nearest-exact",
    "UpsampleTrilinear3DBackward0": "nn.functional.interpolate.trilinear",
    "ZeroBackward0": "zero_",
}
PREFIXES = ("nn.functional.", "linalg.", "special.")


@dataclass(frozen=True)
class Shown:
    """What a page shows of a rule."""

    name: str
    latex: str
    family: str
    names: frozenset[str]  # of the operations it answers for


def rule_of(node: str) -> Shown | None:
    """The rule that a node of this name applies; None where the reference has none, or several.

    >>> rule_of("AddmmBackward0").name, rule_of("MseLossBackward0").name
    ('addmm', 'mse_loss')
    >>> rule_of("AccumulateGrad") is None
    True
    """
    node = node.removesuffix("_copy")  # a view's copy has the rule of the view
    found = re.fullmatch(r"([A-Z]\w*?)Backward\d+", node)  # a script's own Function has no number
    if not found:
        return None
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", found[1]).lower()
    name = NODES.get(node) or OTHER_NAMES.get(name, name)
    fitting = [rule for rule in read() if name in rule.names]
    return fitting[0] if len(fitting) == 1 else None


def sources() -> list[Path]:
    """The modules of the registry, a family each."""
    return sorted((project.ROOT / "src/backwardpass/vjps").glob("[!_]*.py"))


@cache
def read() -> tuple[Shown, ...]:
    """Every rule of the registry."""
    return tuple(rule for path in sources() for rule in _rules(path))


def _rules(path: Path):
    texts: dict[str, str] = {}  # the module's own constants, which a formula may consist of
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            texts[statement.targets[0].id] = _text(statement.value, texts)
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            texts[statement.target.id] += _text(statement.value, texts)
        if isinstance(statement, ast.ImportFrom):
            texts |= _imported(statement, path.parent)
        if not isinstance(statement, ast.FunctionDef):
            continue
        for call in statement.decorator_list:
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "rule":
                entries = [_text(argument, texts) for argument in call.args]
                told = {option.arg: _text(option.value, texts) for option in call.keywords}
                names = [*entries, *told.get("also", "").split()]
                yield Shown(
                    told.get("name") or entries[0].removeprefix("nn.functional."),
                    told["latex"],
                    path.stem,
                    frozenset(form for name in names for form in _forms(name)),
                )


def _imported(statement: ast.ImportFrom, folder: Path) -> dict[str, str]:
    """Constants that a family takes from another's module."""
    source = folder / f"{(statement.module or '').rpartition('.')[2]}.py"
    if not (statement.module or "").startswith("backwardpass.vjps.") or not source.is_file():
        return {}
    there: dict[str, str] = {}
    for line in ast.parse(source.read_text("utf-8")).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            there[line.targets[0].id] = _text(line.value, there)
    return {n.asname or n.name: there[n.name] for n in statement.names if n.name in there}


def _text(value: ast.expr, texts: dict[str, str]) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.Name):
        return texts.get(value.id, "")
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _text(value.left, texts) + _text(value.right, texts)
    return ""


def _forms(entry: str) -> set[str]:
    """How a node may name an operation that PyTorch's tests name so."""
    short = next((entry.removeprefix(p) for p in PREFIXES if entry.startswith(p)), entry)
    return {entry, short, entry.replace(".", "_")}
