"""Results kept under a key, a line a row: whether they are still of what is there, and which pages
show them.

A trial measures, apart from any build, and keeps a row for each script, rule or claim, with a key
of all that the row depends on.  A page shows the rows, and says of which the key has changed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# So many names are listed where something has changed.
MOST_NAMES = 5


class KeptError(ValueError):
    """What is kept cannot be read; the message is one line, and says what to run."""


def lines(rows: Mapping[str, Any] | Iterable[Any]) -> str:
    """Rows as JSON, a line each, so that two changes merge; those with a name by their names.

    >>> print(lines({"b": {"key": 1}, "a": [2, 3]}))
    {
      "a": [2, 3],
      "b": {"key": 1}
    }
    """
    if isinstance(rows, Mapping):
        told = [f"{_json(name)}: {_json(row)}" for name, row in sorted(rows.items())]
        begin, end = "{}"
    else:
        told = [_json(row) for row in rows]
        begin, end = "[]"
    return f"{begin}\n  " + ",\n  ".join(told) + f"\n{end}" if told else begin + end


def fields(record: Mapping[str, Any]) -> str:
    """A record as JSON: a line for each field, and for each row of a field that holds rows.

    >>> print(fields({"torch": "2.13.0", "targets": {"a": {"key": 1}}}))
    {"torch": "2.13.0",
    "targets": {
      "a": {"key": 1}
    }}
    """
    parts = (f"{_json(name)}: {_field(value)}" for name, value in record.items())
    return "{" + ",\n".join(parts) + "}"


def _field(value: Any) -> str:
    if isinstance(value, dict):
        return lines(value)
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return lines(value)
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def write(path: Path, text: str) -> None:
    """Keep a text, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text + "\n", "utf-8")
    unfinished.replace(path)


@contextmanager
def reading(path: Path, again: str) -> Iterator[None]:
    """Around what reads ``path``: whatever is wrong with it, one line says what to run.

    Raises
    ------
    KeptError
        There is no such file, or it has another form than is read here.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise KeptError(
            f"{path.name} cannot be read, perhaps an older version wrote it ({reason}); "
            f"write it anew: {again}"
        ) from None


def changed(now: Mapping[str, str], then: Mapping[str, str | None]) -> list[str]:
    """The names whose key is another than it was, or that had none.

    >>> changed({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "1"})
    ['b', 'c']
    """
    return [name for name, key in now.items() if then.get(name) != key]


def named(names: list[str]) -> str:
    """The first few names.

    >>> named(["a", "b"]), named(list("abcdef"))
    ('a, b', 'a, b, c, d, e and others')
    """
    return ", ".join(names[:MOST_NAMES]) + (" and others" if len(names) > MOST_NAMES else "")


def outdated(env: Any, mark: str, state: Callable[[], str]) -> list[str]:
    """The pages that were read in another state than that which ``state`` gives now.

    A page that shows what is kept notes the state in its metadata, under ``mark``.  Where the state
    cannot be told, they are read again, and say why.
    """
    marked = {
        docname: metadata[mark]
        for docname, metadata in env.metadata.items()
        if mark in metadata and docname in env.found_docs
    }
    if not marked:
        return []
    try:
        now = state()
    except KeptError:
        return list(marked)
    return [docname for docname, then in marked.items() if then != now]
