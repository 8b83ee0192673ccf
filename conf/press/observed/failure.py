"""One reason not to publish: plain data, which the gates make and a build reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Where something is wrong, which gate says so, and what to know about it."""

    script: str  # path below the project's root
    line: int | None
    gate: str
    message: str

    def __str__(self) -> str:
        place = self.script if self.line is None else f"{self.script}:{self.line}"
        return f"{place}: {self.message}"
