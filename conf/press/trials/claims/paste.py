"""A counterexample as a script, ready to be pasted into an empty file.

It is the script of the case, then the falsifier with the functions it uses, then its call.
"""

import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType, ModuleType

from press.trials.claims.record import assume


def script(source: str, check: Callable) -> str:
    """The case of ``source``, and ``check`` asked of it."""
    used = _used(check)
    imports = dict.fromkeys(_imports(used))
    if any(value is assume for value in used.values()):
        used = {name: value for name, value in used.items() if value is not assume}
        imports["assume = bool"] = None
    functions = [_text(value) for value in used.values() if isinstance(value, FunctionType | type)]
    lines = [line for line in imports if line not in source.splitlines()]
    head = "\n".join([*lines, source])
    return "\n\n\n".join([head, *functions, _text(check), _call(check)]) + "\n"


def arguments(check: Callable) -> list[str]:
    """The names that a falsifier takes."""
    return list(inspect.signature(check).parameters)


def _call(check: Callable) -> str:
    return f"{check.__name__}({', '.join(arguments(check))})"


def _text(function: Callable) -> str:
    """The source of a function without its decorators and its docstring's indentation."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(("def ", "class ")))
    return "\n".join(lines[start:])


def _used(function: Callable) -> dict[str, object]:
    """What a function takes from its module, and what that takes from it: by name, in order."""
    found: dict[str, object] = {}
    waiting = [function]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, type):
            waiting += [v for v in vars(current).values() if isinstance(v, FunctionType)]
            waiting += [v.__func__ for v in vars(current).values() if isinstance(v, staticmethod)]
            continue
        for name in _names(current.__code__):
            value = current.__globals__.get(name)
            # pytest puts names that are no names of Python into the code of its tests.
            known = name in found or value is function or not name.isidentifier()
            if known or not isinstance(value, FunctionType | ModuleType | type):
                continue
            found = {name: value, **found}
            if getattr(value, "__module__", "") == function.__module__:
                waiting.append(value)
    return found


def _names(code) -> list[str]:
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    return [*code.co_names, *(name for c in inner for name in _names(c))]


def _imports(used: dict[str, object]) -> list[str]:
    """What has to be imported: modules, and what other modules define."""
    lines = []
    for name, value in used.items():
        if isinstance(value, ModuleType):
            alias = "" if value.__name__ == name else f" as {name}"
            lines.append(f"import {value.__name__}{alias}")
    return lines
