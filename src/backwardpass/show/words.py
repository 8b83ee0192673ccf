"""How shapes, bytes and the user's own names are written, in tables and in drawings alike."""

from backwardpass.data.graph import GraphData, Node, Saved, TensorMeta


def clean(text: str) -> str:
    """Put a name on one line, without the characters no page can hold.

    >>> clean("two\\nlines\\x00")
    'two lines\\ufffd'
    """
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "\ufffd" for char in line)


def shape_text(meta: TensorMeta | None) -> str:
    """Write a shape as Python prints it; what did not arrive is "none"."""
    if meta is None:
        return "none"
    return "nested" if meta.shape is None else str(meta.shape)


def shapes_text(metas: tuple[TensorMeta | None, ...]) -> str:
    """Write several shapes, equal neighbours counted.

    >>> from backwardpass import TensorMeta
    >>> row = TensorMeta((4,), "float32", "cpu")
    >>> shapes_text((row, row, None))
    '2 × (4,), none'
    """
    counted: list[list] = []
    for shape in map(shape_text, metas):
        if counted and counted[-1][0] == shape:
            counted[-1][1] += 1
        else:
            counted.append([shape, 1])
    return ", ".join(shape if count == 1 else f"{count} × {shape}" for shape, count in counted)


def bytes_text(nbytes: int | None) -> str:
    """Write a number of bytes.

    >>> bytes_text(96), bytes_text(65536), bytes_text(None)
    ('96 B', '64.0 KiB', 'size unknown')
    """
    if nbytes is None:
        return "size unknown"
    if nbytes < 1024:
        return f"{nbytes} B"
    power = min((nbytes.bit_length() - 1) // 10, 3)
    return f"{nbytes / 1024**power:.1f} {['KiB', 'MiB', 'GiB'][power - 1]}"


def saved_text(saved: Saved) -> str:
    """Write one saved tensor: field, where it comes from, shape, bytes.

    >>> from backwardpass import Saved
    >>> saved_text(Saved("self", (3,), nbytes=12, source="x"))
    'self = x (3,), 12 B'
    >>> saved_text(Saved("self", role="unknown"))
    'self: cannot be seen'
    """
    if saved.freed:
        return f"{saved.field}: freed"
    if saved.role == "unknown":
        return f"{saved.field}: cannot be seen"
    what = saved.field
    if saved.source and saved.source not in (saved.field, "result"):
        what += f" = {clean(saved.source)}"
    if saved.shape is not None:
        what += f" {saved.shape}"
    return f"{what}, {bytes_text(saved.nbytes)}"


def label_text(node: Node) -> str:
    """Write the names a node stands for, or nothing."""
    return clean(node.label) if node.label else ""


def edge_text(graph: GraphData, target: int, input_nr: int) -> str:
    """Write what travels along an edge: its shape, and which of several outputs it belongs to."""
    outputs = graph.nodes[target].outputs
    shape = shape_text(outputs[input_nr]) if input_nr < len(outputs) else ""
    if input_nr or len(outputs) > 1:
        return f"input {input_nr}: {shape}".removesuffix(": ")
    return shape
