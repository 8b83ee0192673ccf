"""Graphs and passes as plain data: lists, dictionaries, strings, numbers, as JSON has them.

A graph:

- ``format``: the number 1;
- ``roots``: a list of indices into ``nodes``;
- ``nodes``: a list, in the order in which the engine runs them.

A node:

- ``index``, ``name``, ``kind``, ``label``: as in :class:`~backwardpass.Node`;
- ``outputs``: of each output ``shape`` (a list, or null for a nested tensor), ``dtype`` and
  ``device``;
- ``saved``: a list whose entries have the fields of :class:`~backwardpass.Saved`: ``field``,
  ``shape`` (a list, or null), ``dtype``, ``nbytes``, ``source``, ``freed``, ``storage``,
  ``storage_nbytes`` and ``role``;
- ``edges``: of each ``target`` (an index, or null) and ``input_nr``;
- ``module``: only where it is known;
- ``variable``: only of a leaf's node, like an entry of ``saved``.

A pass:

- ``format``, ``call``, ``filename``, ``line``, ``retain_graph``, ``create_graph``, ``error``: as
  in :class:`~backwardpass.BackwardPass`;
- ``graph``: a graph;
- ``steps``: a list.

A step:

- ``node``: an index into the pass's graph;
- ``cotangents``: each like an entry of ``outputs``, or null where nothing arrived;
- ``norms``, ``values``, ``freed``, ``wrote``: only in a pass recorded with ``values=True``.
  ``freed`` is null where PyTorch does not let it be seen; ``wrote`` is null or has ``how``,
  ``tensor`` (like an entry of ``outputs``, or null) and ``taken_over``.

A complex number is a list of two numbers, and what is no finite number is one of the strings "nan",
"inf" and "-inf", so that the text is JSON in the strict sense. A reader has to pass over keys it
does not know; keys are added without a new format number.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from backwardpass.data.graph import Edge, GraphData, Node, Saved, TensorMeta
from backwardpass.data.passes import PassData, Step, Written

FORMAT = 1
SAVED = tuple(field.name for field in fields(Saved))


def check_format(data: Mapping[str, Any], what: str) -> None:
    """Raise `ValueError` unless `data` carries the format number written here."""
    found = data.get("format") if isinstance(data, Mapping) else None
    if found != FORMAT:
        raise ValueError(
            f"{what}.from_dict() reads what {what}.as_dict() wrote, format {FORMAT};\n"
            f"got a {type(data).__name__} of format {found!r}.\n"
            "Write the data again with this version."
        )


def graph_as_dict(graph: GraphData) -> dict[str, Any]:
    """Turn the graph into lists, dictionaries, strings and numbers, as JSON has them.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(2, requires_grad=True)
    >>> backwardpass.trace(x.sum()).as_dict()["nodes"][0]["edges"]
    [{'target': 1, 'input_nr': 0}]
    """
    return {
        "format": FORMAT,
        "roots": list(graph.roots),
        "nodes": [_node_as_dict(node) for node in graph.nodes],
    }


def graph_fields(data: Mapping[str, Any]) -> tuple[tuple[Node, ...], tuple[int, ...]]:
    """Read the nodes and the roots of a graph that :func:`graph_as_dict` wrote."""
    check_format(data, "Graph")
    return tuple(_node_from_dict(node) for node in data["nodes"]), tuple(data["roots"])


def pass_as_dict(seen: PassData) -> dict[str, Any]:
    """Turn the pass into plain data, as JSON has it.

    >>> from backwardpass import BackwardPass, Graph
    >>> empty = BackwardPass("grad", "a.py", 1, False, False, Graph((), ()), ())
    >>> empty.as_dict()["call"]
    'grad'
    """
    return {
        "format": FORMAT,
        "call": seen.call,
        "filename": seen.filename,
        "line": seen.line,
        "retain_graph": seen.retain_graph,
        "create_graph": seen.create_graph,
        "graph": graph_as_dict(seen.graph),
        "steps": [step_as_dict(step) for step in seen.steps],
        "error": seen.error,
    }


def pass_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read the fields of a pass that :func:`pass_as_dict` wrote, all but its graph."""
    check_format(data, "BackwardPass")
    known = {field.name: data[field.name] for field in fields(PassData) if field.name != "graph"}
    return known | {"steps": tuple(step_from_dict(step) for step in data["steps"])}


def meta_as_dict(meta: TensorMeta | None) -> dict[str, Any] | None:
    """Turn what is known of a tensor into plain data; `None` stays `None`."""
    if meta is None:
        return None
    return {"shape": _listed(meta.shape), "dtype": meta.dtype, "device": meta.device}


def meta_from_dict(data: Mapping[str, Any] | None) -> TensorMeta | None:
    """Undo :func:`meta_as_dict`."""
    return None if data is None else _meta_from_dict(data)


def _meta_from_dict(data: Mapping[str, Any]) -> TensorMeta:
    return TensorMeta(_tupled(data["shape"]), data["dtype"], data["device"])


def number_as_data(number: Any) -> Any:
    """Write a number as strict JSON has it.

    >>> number_as_data(2.5), number_as_data(1 - 2j), number_as_data(float("-inf"))
    (2.5, [1.0, -2.0], '-inf')
    """
    if isinstance(number, complex):
        return [number_as_data(number.real), number_as_data(number.imag)]
    if isinstance(number, float) and not math.isfinite(number):
        return str(number)
    return number


def number_from_data(data: Any) -> Any:
    """Undo :func:`number_as_data`.

    >>> number_from_data([1.0, "inf"])
    (1+infj)
    """
    if isinstance(data, list):
        return complex(*map(number_from_data, data))
    return float(data) if isinstance(data, str) else data


def _listed(shape: tuple[int, ...] | None) -> list[int] | None:
    return None if shape is None else list(shape)


def _tupled(shape: list[int] | None) -> tuple[int, ...] | None:
    return None if shape is None else tuple(shape)


def _saved_as_dict(saved: Saved) -> dict[str, Any]:
    fields = {name: getattr(saved, name) for name in SAVED}
    return fields | {"shape": _listed(saved.shape)}


def _saved_from_dict(data: Mapping[str, Any]) -> Saved:
    known = {name: data[name] for name in SAVED if name in data}
    return Saved(**known | {"shape": _tupled(data["shape"])})


def _node_as_dict(node: Node) -> dict[str, Any]:
    data = {
        "index": node.index,
        "name": node.name,
        "kind": node.kind,
        "label": node.label,
        "outputs": [meta_as_dict(meta) for meta in node.outputs],
        "saved": [_saved_as_dict(saved) for saved in node.saved],
        "edges": [{"target": edge.target, "input_nr": edge.input_nr} for edge in node.edges],
    }
    if node.module is not None:
        data["module"] = node.module
    if node.variable is not None:
        data["variable"] = _saved_as_dict(node.variable)
    return data


def _node_from_dict(data: Mapping[str, Any]) -> Node:
    variable = data.get("variable")
    return Node(
        index=data["index"],
        name=data["name"],
        kind=data["kind"],
        label=data["label"],
        outputs=tuple(_meta_from_dict(meta) for meta in data["outputs"]),
        saved=tuple(_saved_from_dict(saved) for saved in data["saved"]),
        edges=tuple(Edge(edge["target"], edge["input_nr"]) for edge in data["edges"]),
        module=data.get("module"),
        variable=None if variable is None else _saved_from_dict(variable),
    )


def step_as_dict(step: Step) -> dict[str, Any]:
    """Turn a step into plain data; what was not observed has no key."""
    data: dict[str, Any] = {
        "node": step.node,
        "cotangents": [meta_as_dict(meta) for meta in step.cotangents],
    }
    if step.norms is None or step.values is None:
        return data
    wrote = step.wrote and {
        "how": step.wrote.how,
        "tensor": meta_as_dict(step.wrote.tensor),
        "taken_over": step.wrote.taken_over,
        "values": _values_as_data(step.wrote.values),
    }
    values = [_values_as_data(few) for few in step.values]
    norms = [number_as_data(norm) for norm in step.norms]
    freed = None if step.freed is None else list(step.freed)
    return data | {"norms": norms, "values": values, "freed": freed, "wrote": wrote}


def step_from_dict(data: Mapping[str, Any]) -> Step:
    """Undo :func:`step_as_dict`."""
    step = Step(data["node"], tuple(meta_from_dict(meta) for meta in data["cotangents"]))
    if "norms" not in data:
        return step
    wrote = data["wrote"]
    return replace(
        step,
        norms=tuple(number_from_data(norm) for norm in data["norms"]),
        values=tuple(map(_values_from_data, data["values"])),
        freed=None if data["freed"] is None else tuple(data["freed"]),
        wrote=wrote
        and Written(
            wrote["how"],
            meta_from_dict(wrote["tensor"]),
            wrote["taken_over"],
            _values_from_data(wrote["values"]),
        ),
    )


def _values_as_data(few: tuple | None) -> list | None:
    return None if few is None else [number_as_data(number) for number in few]


def _values_from_data(few: list | None) -> tuple | None:
    return None if few is None else tuple(number_from_data(number) for number in few)
