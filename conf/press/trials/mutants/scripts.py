"""Mutants of a gallery script: run the script once, and fork before each statement that changes."""

import ast
import contextlib
import gc
import hashlib
import io
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import torch

from press.judge.slices import Part, hand_side, names

from . import fork
from .mutants import Mutant, Outcome, of_part

# Changes tried to see whether a part that may feed autograd's side does.
PROBES = 4


def warm_up() -> None:
    """Do once what every mutant would do: the first comparison that fails imports what it needs."""
    import matplotlib.pyplot  # noqa: F401  (children find it imported)

    torch.set_num_threads(1)  # the same order of additions in parent and child
    x = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    for wrong in (x.detach() + 1, x.detach().T, x.detach().sum()):
        with contextlib.suppress(AssertionError):
            torch.testing.assert_close({"x": wrong}, {"x": torch.autograd.grad((x**2).sum(), x)[0]})
    torch.optim.SGD([x], lr=0.1).step()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that holds an object


class Finished(BaseException):
    """The last comparison is done; what a script prints afterwards catches nothing."""


@dataclass
class Watched:
    """The comparisons of one run: where, of which kind, and what stood on autograd's side."""

    expected: list[tuple[int, bytes]] | None = None  # of the unchanged script
    last: int | None = None  # how many calls it makes in all
    calls: int = 0
    by_hand: list[tuple[int, bytes]] = field(default_factory=list)
    outcome: Outcome | None = None

    def compare(self, line: int, real: Callable, left, right, options: dict) -> None:
        """Compare as the script asks; with ``expected``, end the run where the outcome is known."""
        self.calls += 1
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            self.by_hand.append((line, digest(right)))
            if self.expected is not None:
                self.judge(real, left, right, options)
            else:
                real(left, right, **options)
        else:
            try:
                real(left, right, **options)
            except Exception:
                if self.expected is None:
                    raise
                self.outcome = Outcome.EQUALITY
                raise Finished from None
        if self.last is not None and self.calls >= self.last:
            raise Finished

    def judge(self, real: Callable, left, right, options: dict) -> None:
        position = len(self.by_hand) - 1
        if self.by_hand != self.expected[: position + 1]:
            self.outcome = Outcome.MOVED
            raise Finished
        try:
            real(left, right, **options)
        except Exception:
            self.outcome = Outcome.COMPARISON
            raise Finished from None


def digest(side: object) -> bytes:
    """The exact values of one side of a comparison."""
    made = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, Mapping):
            for key in value:
                made.update(repr(key).encode())
                add(value[key])
        elif isinstance(value, torch.Tensor):
            made.update(f"{value.dtype}{tuple(value.shape)}".encode())
            made.update(value.detach().to_dense().resolve_conj().contiguous().numpy().tobytes())
        elif isinstance(value, list | tuple):
            made.update(b"(")
            for part in value:
                add(part)
            made.update(b")")
        else:
            made.update(repr(value).encode())

    add(side)
    return made.digest()


@contextmanager
def watch(filename: str, watched: Watched) -> Iterator[None]:
    """Hand the script's own calls of ``assert_close`` to ``watched``."""
    real = torch.testing.assert_close

    def assert_close(actual, expected, **options):
        caller = sys._getframe(1)
        if caller.f_code.co_filename != filename:
            real(actual, expected, **options)
        else:
            watched.compare(caller.f_lineno, real, actual, expected, options)

    with mock.patch.object(torch.testing, "assert_close", assert_close):
        yield


@dataclass
class Script:
    """A gallery script, taken apart into the statements it executes one after another."""

    name: str
    source: str
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.source)
        self.skipped = plotting(self.tree, self.source)
        self.given: list[Part] = []  # what autograd's side depends on too
        self.globals = {"__name__": "__main__", "__doc__": ""}

    @classmethod
    def of(cls, path: Path) -> "Script":
        return cls("/".join(path.with_suffix("").parts[-2:]), path.read_text("utf-8"))

    def measure(self) -> list[tuple[Mutant, Outcome]]:
        """The outcome of every mutant, in the order of the source.

        The script runs in this process: call it in a child to keep what the script does apart.
        """
        with quiet():
            whole, seconds = self.in_a_child()
            parts = hand_side(self.tree, {line for line, _ in whole.by_hand})
            found = self.fork_along(parts, whole, limit=max(2.0, 5 * seconds))
        if whole.by_hand and not found:
            raise ValueError(
                f"{self.name} compares a gradient by hand, and nothing in it computes one that "
                "autograd's side does not depend on too: no place to change was found"
            )
        return sorted(found, key=lambda pair: _place(pair[0]))

    def in_a_child(self) -> tuple[Watched, float]:
        """What the unchanged script compares, and how long it takes."""
        reader, writer = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if child == 0:
            try:
                started, watched = time.process_time(), Watched()
                with watch(self.name, watched):
                    self.run(self.tree.body)
                writer.send((watched, time.process_time() - started))
            except BaseException:
                writer.send(traceback.format_exc())
            finally:
                os._exit(0)
        writer.close()
        received = reader.recv()
        os.waitpid(child, 0)
        if isinstance(received, str):
            raise RuntimeError(f"{self.name} fails before anything is changed:\n{received}")
        return received

    def run(self, statements: list[ast.stmt], *, asserts: bool = True) -> None:
        for statement in statements:
            if statement not in self.skipped:
                module = ast.Module([statement], [])
                code = compile(module, self.name, "exec", dont_inherit=True, optimize=not asserts)
                exec(code, self.globals)

    def fork_along(self, parts: list[Part], whole: Watched, limit: float) -> list:
        """Run the script once; before the statement where it matters, try each change of a part."""
        places: dict[int, list[tuple[int, Part]]] = {}
        for part in parts:
            at = self.position(part.statement)
            places.setdefault(self.first_use(at), []).append((at, part))
        found, so_far, seen = [], Watched(), set()
        with watch(self.name, so_far):
            for index, statement in enumerate(self.tree.body):
                for at, part in places.pop(index, ()):
                    found += self.try_part(part, at, index, so_far, whole, limit, seen)
                if not places:
                    break
                self.run([statement])
        return found

    def position(self, statement: ast.stmt) -> int:
        """Which statement of the script it is in."""
        return next(
            index
            for index, outer in enumerate(self.tree.body)
            if any(node is statement for node in ast.walk(outer))
        )

    def first_use(self, at: int) -> int:
        """Where a change of statement ``at`` first matters: a function, where it may be called."""
        body = self.tree.body
        if not isinstance(body[at], ast.FunctionDef) or body[at].decorator_list:
            return at
        using = {body[at].name}
        for index in range(at + 1, len(body)):
            statement = body[index]
            if using.isdisjoint(names(statement)):
                continue
            if not isinstance(statement, ast.FunctionDef) or statement.decorator_list:
                return index
            using.add(statement.name)
        return at

    def try_part(self, part, at, index, so_far, whole, limit, seen) -> list:
        """Outcomes of a part's mutants, or none where the part feeds autograd's side."""
        found = []
        for mutant in of_part(self.name, self.source, part, self.tree):
            key = (_place(mutant), mutant.mutation.new)
            if key in seen:
                continue
            seen.add(key)
            found.append((mutant, self.outcome(mutant, at, index, so_far, whole, limit)))
            given = part.shared and any(o is Outcome.MOVED for _, o in found)
            if given and len(found) >= PROBES:
                break
        outcomes = {outcome for _, outcome in found}
        if part.shared and (Outcome.MOVED in outcomes or Outcome.COMPARISON not in outcomes):
            self.given.append(part)
            return []
        return [(mutant, outcome) for mutant, outcome in found if outcome is not Outcome.MOVED]

    def outcome(self, mutant, at, index, so_far, whole, limit) -> Outcome:
        """Without asserts first, so that comparisons speak; then with them, for what survived."""
        try:
            changed = ast.parse(mutant.applied(self.source)).body[at]
        except SyntaxError as error:
            raise SyntaxError(f"{mutant.script}:{mutant.line}: {mutant.change}") from error
        rest = self.tree.body[index:]
        rest = [changed, *rest] if index != at else [changed, *rest[1:]]

        def run(last: int | None, asserts: bool) -> Outcome:
            so_far.expected, so_far.last = whole.by_hand, last
            with contextlib.suppress(Finished):
                self.run(rest, asserts=asserts)
            return so_far.outcome or Outcome.SURVIVED

        found = fork.outcome_of(lambda: run(whole.calls, asserts=False), limit)
        if found is Outcome.SURVIVED:
            found = fork.outcome_of(lambda: run(None, asserts=True), limit)
        return found


def plotting(tree: ast.Module, source: str) -> set[ast.stmt]:
    """Statements of cells that only draw: they use pyplot, and nothing they name is used later."""
    starts = [n for n, text in enumerate(source.splitlines(), 1) if text.startswith("# %%")]
    cells: dict[int, list[ast.stmt]] = {}
    for statement in tree.body:
        cell = sum(start < statement.lineno for start in starts)
        cells.setdefault(cell, []).append(statement)
    skipped: set[ast.stmt] = set()
    read_later: set[str] = set()
    for _, statements in sorted(cells.items(), reverse=True):
        nodes = [node for statement in statements for node in ast.walk(statement)]
        draws = any(isinstance(n, ast.Name) and n.id == "plt" for n in nodes)
        checks = any(isinstance(n, ast.Assert | ast.Import | ast.ImportFrom) for n in nodes)
        checks |= any(isinstance(n, ast.Attribute) and n.attr == "assert_close" for n in nodes)
        named = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        named |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        if draws and not checks and named.isdisjoint(read_later):
            skipped.update(statements)
        else:
            loaded = (
                n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
            )
            read_later.update(loaded)
    return skipped


@contextmanager
def quiet() -> Iterator[None]:
    """No output, no warnings, no pictures, and an empty folder to be in."""
    import matplotlib.pyplot as plt

    before = os.getcwd()
    with contextlib.ExitStack() as around:
        folder = around.enter_context(tempfile.TemporaryDirectory())
        around.enter_context(contextlib.redirect_stdout(io.StringIO()))
        around.enter_context(contextlib.redirect_stderr(io.StringIO()))
        around.enter_context(warnings.catch_warnings())
        around.enter_context(mock.patch.object(plt, "show", return_value=None))
        warnings.simplefilter("ignore")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _place(mutant: Mutant) -> tuple:
    node = mutant.mutation.node
    return mutant.line, node.col_offset, node.end_lineno, node.end_col_offset, mutant.mutation.new
