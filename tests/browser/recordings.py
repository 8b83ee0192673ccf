"""What a stepper has to show, from the recording alone: nothing here knows its words."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One step: the node it is about, and what a reader has to find in it."""

    name: str
    label: str
    box: int | None  # the node's number in the drawing, None where the drawing lacks it
    edges: frozenset[str]  # along which it sends, as the drawing names them
    shapes: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    error: str = ""
    made: str = ""  # the line of code that recorded the node, as pages name it
    called: str = ""  # ... and the one that started the pass

    def missing_from(self, text: str) -> list[str]:
        """What a reader does not find in ``text``, which stands where the step is told."""
        wanted = [*self.shapes, *filter(None, (self.name, self.label, self.error))]
        missing = [words for words in wanted if words not in text]
        said = [float(number) for number in NUMBER.findall(text)]
        return missing + [
            f"{number:g}"
            for number in self.numbers
            if not any(abs(number - other) <= 6e-4 * abs(number) for other in said)
        ]


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def recording(book: Path, name: str) -> tuple[dict, int, str]:
    """What was observed behind a drawing, named by its script and number, and these two."""
    script, number = name.split()
    found = book / "book/gallery" / f"{script}.observed.json"
    return json.loads(found.read_text("utf-8")), int(number), script


def line(script: str, number: int | None) -> str:
    """A line of a script, as pages name it."""
    name = script.rpartition("/")[2].removeprefix("plot_").replace("_", "-")
    return f"line-{name}-{number}" if number else ""


def phases(observed: dict, number: int, script: str) -> list[list[Step]]:
    """Every step over the n-th drawing: the forward pass, then up to three backward passes."""
    drawing = observed["drawings"][number - 1]
    nodes = drawing["graph"]["nodes"]
    lines = drawing["lines"] or [None] * len(nodes)
    found = [
        [
            Step(
                nodes[index]["name"],
                nodes[index]["label"] or "",
                index,
                frozenset(edges_of(nodes[index], index)),
                made=line(script, lines[index]),
            )
            for index in drawing["recorded"]
        ]
    ]
    for which, same in list(drawing["passes"].items())[:3]:
        ran = observed["passes"][int(which)]
        nodes = ran["graph"]["nodes"]
        steps = [backward(nodes[step["node"]], step, same) for step in ran["steps"]]
        steps = [
            replace(
                step,
                made=line(script, None if step.box is None else lines[step.box]),
                called=line(script, ran["line"]),
            )
            for step in steps
        ]
        if ran["error"]:
            first = ran["error"].strip().splitlines()[0]
            called = line(script, ran["line"])
            steps.append(Step("", "", None, frozenset(), error=first, called=called))
        found.append(steps)
    return [steps for steps in found if steps]


def together(views: list[list[list[Step]]]) -> list[list[Step]]:
    """The steps of several drawings beside each other: the shorter one of a phase waits.

    Only phases that all of them have stand beside each other.
    """
    return [
        [steps[min(at, len(steps) - 1)] for steps in parts]
        for parts in zip(*views, strict=False)
        for at in range(max(map(len, parts)))
    ]


def backward(node: dict, step: dict, same: dict) -> Step:
    """One node of a backward pass, as it was recorded."""
    box = same.get(str(step["node"]))
    arrived = [cotangent for cotangent in step["cotangents"] if cotangent is not None]
    numbers = [n for values in step.get("values") or () if values for n in values]
    numbers += (step.get("wrote") or {}).get("values") or ()
    return Step(
        node["name"],
        node["label"] or "",
        box,
        frozenset() if box is None else frozenset(edges_of(node, box)),
        tuple(str(tuple(c["shape"])) for c in arrived if c["shape"] is not None),
        tuple(
            part for n in numbers for part in (n if isinstance(n, list) else [n]) if finite(part)
        ),
    )


def finite(number: object) -> bool:
    return isinstance(number, int | float) and abs(number) < float("inf")


def edges_of(node: dict, box: int) -> list[str]:
    return [f"{box}-{place}" for place, e in enumerate(node["edges"]) if e["target"] is not None]
