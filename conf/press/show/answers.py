"""Let a reader try an answer: the build computes it, and the page says what is wrong with theirs.

````md
```{answer} ex-label
:ask: `x.grad` as a list
import torch
right = [2.0, 1.0]
wrong = {"You followed one path only.": [1.0, 1.0]}
```
````

The block runs when its page is read, in a namespace of its own.  Without JavaScript the form stays
hidden, and the folded solution is what there is.
"""

import ast
import base64
import json
import math
from collections.abc import Mapping
from html import escape

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx_exercise.nodes import solution_node

from press.fences import Needs, directive

logger = logging.getLogger(__name__)

# A reader's number may be off by this part of the answer; whole numbers have to be exact.
TOLERANCE = 1e-3
# More than this nobody types.
MOST_VALUES = 64
# What `_static/answers.js` undoes: enough that an answer is not read by accident.
KEY = 0x5A


class Unusable(Exception):
    """The block does not say what it has to; ``line`` counts from 1 in the block, if known."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


class answer_node(nodes.General, nodes.Element):
    """The form of one answer; its children are what is asked, then one for each wrong answer."""


class part_node(nodes.Part, nodes.TextElement):
    """Words of a form, rendered like any others of the page and then taken out of its text."""


@directive("answer", Needs(executes=True))
class AnswerDirective(SphinxDirective):
    """The argument is an exercise of the same page, ``:ask:`` what its reader has to type."""

    required_arguments = 1
    has_content = True
    option_spec = {"ask": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        label = self.arguments[0]
        try:
            if "ask" not in self.options:
                raise Unusable("say what to type with :ask:, for example «`x.grad` as a list»")
            known = getattr(self.env, "sphinx_exercise_registry", {}).get(label)
            if not known or known["docname"] != self.env.docname:
                raise Unusable(f'there is no exercise "{label}" above it on this page')
            source = "\n".join(self.content)
            right, wrong = compute(source, f"<answer to {label}>")
            typed = _typed(ast.parse(source))
            if typed is not None:
                said = "right is typed: compute it, or hold it against what is computed"
                raise Unusable(said, typed)
        except Unusable as unusable:
            body = self.lineno + 1 + self.content_offset
            line = self.lineno if unusable.line is None else body + unusable.line - 1
            report(f'answer to "{label}": {unusable}', (self.env.docname, line))
            return []
        node = answer_node("", label=label, number=self.env.new_serialno("answer"))
        node["right"], node["wrong"] = right, [value for value, _ in wrong]
        for words in (self.options["ask"], *(message for _, message in wrong)):
            children, messages = self.state.inline_text(words, self.lineno)
            node += part_node("", "", *children)
            node += messages
        self.set_source_info(node)
        return [node]


def report(message: str, location: object) -> None:
    logger.warning(message, location=location, type="gate", subtype="answer")


def compute(source: str, filename: str = "<answer>") -> tuple[dict, list[tuple[dict, str]]]:
    """Run a block: its right answer, and its wrong ones with what to say to each.

    Raises
    ------
    Unusable
        The block raises, defines no ``right``, or has answers that a page cannot tell apart.

    Examples
    --------
    >>> compute("right = torch.ones(2) * 3")
    ({'value': [3.0, 3.0], 'exact': False}, [])
    """
    try:
        tree = ast.parse(source, filename)
    except SyntaxError as error:
        raise Unusable(f"SyntaxError: {error.msg}", error.lineno) from None
    lines = _lines(tree)
    names = _run(tree, filename)
    if "right" not in names:
        raise Unusable("it defines no `right`")
    right = answer(names["right"], "right", lines["right"])
    given = names.get("wrong", {})
    if not isinstance(given, Mapping):
        raise Unusable(
            "`wrong` is a dictionary of what to say: the answer to say it to", lines["wrong"]
        )
    wrong = []
    for message, value in given.items():
        where = lines.get(("wrong", message), lines["wrong"])
        if not isinstance(message, str) or not message.strip():
            raise Unusable(f"{message!r} says nothing to whoever gives this answer", where)
        found = answer(value, f"the wrong answer {value!r}", where)
        for other, name in [(right, "the right one"), *wrong]:
            if alike(found, other):
                name = name if other is right else f"the one of {name!r}"
                raise Unusable(
                    f"the wrong answer {value!r} of {message!r} cannot be told from {name}, "
                    f"{other['value']!r}",
                    where,
                )
        wrong.append((found, message))
    return right, wrong


def _lines(tree: ast.Module) -> dict:
    """Where ``right``, ``wrong`` and each wrong answer are written; a message given twice."""
    lines: dict = {"right": None, "wrong": None}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign):
            continue
        for target in statement.targets:
            if isinstance(target, ast.Name):
                lines[target.id] = statement.lineno
        if lines["wrong"] == statement.lineno and isinstance(statement.value, ast.Dict):
            for key in statement.value.keys:
                if isinstance(key, ast.Constant):
                    if ("wrong", key.value) in lines:
                        raise Unusable(f"{key.value!r} is said to two wrong answers", key.lineno)
                    lines["wrong", key.value] = key.lineno
    return lines


def _typed(tree: ast.Module) -> int | None:
    """The line on which ``right`` is typed, and nothing is done with it."""
    held = any(
        isinstance(node, ast.Name) and node.id == "right" and isinstance(node.ctx, ast.Load)
        for node in ast.walk(tree)
    )
    for statement in reversed(tree.body):
        match statement:
            case ast.Assign(targets=[ast.Name(id="right")], value=value):
                return statement.lineno if not held and _is_literal(value) else None
    return None


def _is_literal(value: ast.expr) -> bool:
    """Whether an expression names and calls nothing.

    >>> [_is_literal(ast.parse(text, mode="eval").body) for text in ("[1, -2]", "6 * 7", "x")]
    [True, True, False]
    """
    return not any(isinstance(node, ast.Name | ast.Call) for node in ast.walk(value))


def _run(tree: ast.Module, filename: str) -> dict:
    # torch is imported only where something is executed.
    import contextlib
    import io
    import traceback
    import warnings

    import torch

    from press.watch import observation

    names = {"__name__": "__answer__", "torch": torch}
    observation.reset()
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(tree, filename, "exec", dont_inherit=True), names)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in frames if frame.filename == filename), None)
        said = str(error).strip().splitlines()
        what = f"{type(error).__name__}{': ' + said[0] if said else ''}"
        if isinstance(error, AssertionError) and line:
            what = f"an assert fails{': ' + said[0] if said else ''}"
        raise Unusable(what, line) from None
    finally:
        observation.reset()
    return names


def answer(value: object, name: str = "right", line: int | None = None) -> dict:
    """``value`` as a page keeps it: numbers, words, True, False, None, and lists of them.

    ``exact`` tells that all numbers are whole ones and must be met exactly.

    >>> answer((5, 3))
    {'value': [5, 3], 'exact': True}
    """
    plain = _plain(value, name, line)
    atoms = list(_atoms(plain))
    if len(atoms) > MOST_VALUES:
        raise Unusable(f"{name} has {len(atoms)} values; {MOST_VALUES} are enough to type", line)
    words = any(isinstance(atom, str) for atom in atoms)
    if words and isinstance(plain, list) and any(isinstance(part, list) for part in plain):
        raise Unusable(f"{name} is a list of lists of strings; give a list of strings", line)
    floats = any(isinstance(atom, float) for atom in atoms)
    return {"value": plain, "exact": not floats}


def _plain(value: object, name: str, line: int | None) -> object:
    import torch

    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.numel() <= MOST_VALUES:
            value = value.tolist()
    elif type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(part, name, line) for part in value]
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, str) and not normal(value):
        raise Unusable(f"{name} is an empty string", line)
    if isinstance(value, float) and not math.isfinite(value):
        raise Unusable(f'{name} is {value}; a word such as "{value}" can be asked for', line)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    what = "a large tensor" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
    raise Unusable(
        f"{name} is {what}; an answer is a number, a string, True, False, None, a tuple or list "
        "of these, or a small tensor",
        line,
    )


def _atoms(value: object):
    if isinstance(value, list):
        for part in value:
            yield from _atoms(part)
    else:
        yield value


def normal(text: str) -> str:
    """``text`` without what a reader may write differently; `_static/answers.js` does the same.

    >>> normal(" 'torch.Float64'. ")
    'float64'
    """
    import re
    import unicodedata

    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"\s*(?:[,;]|->|→)\s*", " ", text)
    text = re.sub(r"[\s\"'`‘’“”<>]+", " ", text).strip().rstrip(".,;!").strip()
    return re.sub(r"\btorch\.", "", text)


def equation(text: str) -> str | None:
    """An einsum's equation with its letters renamed in order, or None; as the page has it.

    >>> equation("bhqk, bhqd -> bhkd"), equation("loss")
    ('abcd,abce->abde', None)
    """
    import re

    short = re.sub(r"[\s\"'`]+", "", text)
    if not re.fullmatch(r"(?:[a-zA-Z]|\.{3}|,)*->(?:[a-zA-Z]|\.{3})*", short):
        return None
    letters = dict.fromkeys(re.findall(r"[a-zA-Z]", short))
    names = {letter: chr(ord("a") + place) for place, letter in enumerate(letters)}
    return "".join(names.get(letter, letter) for letter in short)


def alike(one: dict, other: dict) -> bool:
    """Whether some input would be taken for both answers.

    >>> alike(answer(2.0), answer(2.001)), alike(answer(1000), answer(1001))
    (True, False)
    """
    room = slack(one) + slack(other)
    return _alike(one["value"], other["value"], room)


def slack(kept: dict) -> float:
    """How far a number may be from one of an answer's, beside the tolerance of its own size."""
    numbers = [abs(a) for a in _atoms(kept["value"]) if _is_number(a)]
    return 0.0 if kept["exact"] else max([1e-12, *(1e-6 * number for number in numbers)])


def _alike(a: object, b: object, room: float) -> bool:
    if isinstance(a, str) != isinstance(b, str):  # a number may be written where a word is
        a, b = _number(a), _number(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_alike, a, b, [room] * len(a)))
    if _is_number(a) and _is_number(b):
        if isinstance(a, int) and isinstance(b, int) and not room:
            return a == b
        return abs(a - b) <= room + TOLERANCE * (abs(a) + abs(b))
    if isinstance(a, str) or isinstance(b, str):  # a word may be how the other is written
        if equation(str(a)) and equation(str(b)):
            return equation(str(a)) == equation(str(b))
        return normal(str(a)) == normal(str(b))
    return type(a) is type(b) and a == b


# A number that a reader may write as a word; `_static/answers.js` has the same.
COUNTS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen", "twenty"),
)


def _number(value: object) -> object:
    if isinstance(value, str) and normal(value) in COUNTS:
        return COUNTS.index(normal(value))
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def hidden(data: object) -> str:
    """``data`` as JSON that is not read by accident."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(bytes(byte ^ KEY for byte in text)).decode()


def form(node: answer_node, ask: str, said: list[str]) -> str:
    """The HTML of a form, hidden until a script can answer it."""
    data = {
        "right": node["right"],
        "wrong": [kept | {"say": html} for kept, html in zip(node["wrong"], said, strict=True)],
        "tolerance": TOLERANCE,
    }
    # What is said later cannot be seen by who asks what the page needs: `page.assets`.
    needs = '<span class="katex" hidden></span>' if 'class="katex' in "".join(said) else ""
    name = escape(f"answer-{node['label']}-{node['number']}")
    return (
        f'<form class="bp-answer" id="{name}" data-answer="{hidden(data)}" hidden novalidate>\n'
        f'<label for="{name}-input"><span class="bp-answer-ask">Your answer:</span> {ask}</label>\n'
        f'<div class="bp-answer-line"><input id="{name}-input" type="text" maxlength="400" '
        f'autocomplete="off" autocapitalize="off" spellcheck="false" '
        f'aria-describedby="{name}-said"><button type="submit">Check</button></div>\n'
        f'<p class="bp-answer-said" id="{name}-said" role="status" aria-live="polite"></p>\n'
        f"{needs}</form>\n"
    )


def visit(translator, node: answer_node) -> None:
    node["begins"] = len(translator.body)


def depart(translator, node: answer_node) -> None:
    parts = "".join(translator.body[node["begins"] :]).split(BETWEEN)[1:]
    del translator.body[node["begins"] :]
    translator.body.append(form(node, parts[0], parts[1:]))


BETWEEN = "\0"


def visit_part(translator, node: part_node) -> None:
    translator.body.append(BETWEEN)


def depart_part(translator, node: part_node) -> None:
    """Its end is the beginning of the next."""


def check_solutions(app: Sphinx, doctree: nodes.document) -> None:
    """Report an answer to an exercise without a solution: without JavaScript nothing is left."""
    solved = {node["target_label"] for node in doctree.findall(solution_node)}
    for node in doctree.findall(answer_node):
        if node["label"] not in solved:
            report(
                f'answer to "{node["label"]}": its exercise has no solution on this page, '
                "and without JavaScript a reader has only that",
                node,
            )


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx_exercise")
    app.add_node(answer_node, html=(visit, depart))
    app.add_node(part_node, html=(visit_part, depart_part))
    # `page.assets` asks for it only where a page has such a form.
    app.add_js_file("answers.js", defer="")
