"""Frames around the nodes of a module, one inside another as the modules are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backwardpass.show.words import clean

FRAME_FONT = 11.0
MOST = 40  # characters of a path; of a longer one the end is shown, which tells modules apart


@dataclass(slots=True)
class Frame:
    """One module: the numbers of its own members, and the frames inside."""

    path: str
    number: int
    members: list[int] = field(default_factory=list)
    inside: list["Frame"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What stands at its top."""
        line = clean(self.path)
        return line if len(line) <= MOST else "…" + line[1 - MOST :]

    @property
    def label_size(self) -> tuple[float, float]:
        """Width and height in points, counted as in the boxes."""
        return len(self.text) * 0.6 * FRAME_FONT + 6, FRAME_FONT * 1.32


def module_tree(paths: Sequence[str | None]) -> list[Frame]:
    """Frame members by path: a module that holds nothing but one other has no frame of its own.

    >>> for frame in module_tree(["layers.0.fc", "layers.0.norm", None, "", "head"]):
    ...     print(frame.path, frame.members, [inner.path for inner in frame.inside])
    layers.0 [] ['layers.0.fc', 'layers.0.norm']
    head [4] []
    """
    root = Frame("", 0)
    known = {"": root}
    for member, path in enumerate(paths):
        if not path:  # outside of the model, or in the model itself, which is the whole picture
            continue
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            inner = ".".join(parts[:length])
            if inner not in known:
                known[inner] = Frame(inner, len(known))
                known[".".join(parts[: length - 1])].inside.append(known[inner])
        known[path].members.append(member)
    return [_without_shells(frame) for frame in root.inside]


def _without_shells(frame: Frame) -> Frame:
    while not frame.members and len(frame.inside) == 1:
        (frame,) = frame.inside
    frame.inside = [_without_shells(inner) for inner in frame.inside]
    return frame


def flat(frames: Iterable[Frame]) -> list[Frame]:
    """List frames, each before those inside."""
    return [each for frame in frames for each in (frame, *flat(frame.inside))]
