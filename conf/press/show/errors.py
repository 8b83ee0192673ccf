"""Messages of autograd, each raised while the book builds, and found by pasting one.

``raises`` runs a program that has to fail, in a namespace of its own, and compares the whole text
of what it raised with the one written below the program.  ``attempt`` does the same for what
people try and what does not help, ``fix`` runs what does.  Every program is complete: it runs as
printed, alone.  ``error-search`` lists the messages of the book and is searched by script, word
by word, since a search for all words of a message with its numbers and names finds nothing.
"""

import ast
import json
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from press import programs
from press.fences import NOTHING, Needs, directive
from press.show.graphs import drawn
from press.show.tables import raw

logger = logging.getLogger(__name__)

# Between a program and the message it ends with.
DIVIDER = re.compile(r"^---$", re.MULTILINE)
# A message that is cut off has at least so many characters: fewer are those of many messages.
SHORTEST = 40
# What a program that raises nothing has to assert, by its directive.
PROVES = {"fix": "that it helps", "attempt": "what becomes of it"}
# The script that the page of search results finds the messages in.
DATA = "bp-messages.js"


@dataclass(frozen=True)
class Outcome:
    """What a program printed, and the exception or warning it ended with, as Python prints it."""

    printed: str
    message: str | None
    drawing: str | None = None


class program(nodes.General, nodes.Element):
    """What a directive showed, what is written there, and what PyTorch said."""


class Program(SphinxDirective):
    """A program that runs while the page is read; ``:draw:`` names a value whose graph is shown."""

    has_content = True
    option_spec = {"draw": directives.unchanged_required}
    title = ""
    css = ""

    def run(self) -> list[nodes.Node]:
        parts = DIVIDER.split("\n".join(self.content))
        code, expected = parts[0].strip("\n"), _flowing(parts[1]) if parts[1:] else None
        wrong = self.malformed(code, expected)
        if wrong:
            raise self.error(wrong)
        outcome = run(code, self.options.get("draw"))
        frame = program(kind=self.name, written=expected, said=_flowing(outcome.message))
        frame["asserts"] = _asserts(code)
        self.set_source_info(frame)
        frame += self.shown(code, outcome)
        return [frame]

    def malformed(self, code: str, expected: str | None) -> str | None:
        """What is wrong with the directive itself, or None."""
        if expected and expected.endswith("…") and len(expected) < SHORTEST:
            return (
                f'"{expected}" would be the beginning of many messages; write {SHORTEST} '
                "characters of it or more"
            )
        return "there is no program" if not code else None

    def shown(self, code: str, outcome: Outcome) -> nodes.container:
        frame = box(self, self.title, self.css, code, outcome)
        if outcome.drawing:
            frame += raw(
                '<details class="bp-state"><summary>The graph at that moment</summary>'
                f"{drawn(outcome.drawing)}</details>"
            )
        return frame


def box(
    shown_by: SphinxDirective, title: str, css: str, code: str, outcome: Outcome
) -> nodes.container:
    """A program, what it prints, and the message it ends with, under a title."""
    frame = nodes.container(classes=["bp-program", css])
    frame += nodes.paragraph("", title, classes=["bp-program-title"])
    block = nodes.literal_block(code, code, language="python")
    shown_by.set_source_info(block)
    frame += block
    for text, kind in ((outcome.printed, "bp-printed"), (outcome.message, "bp-message")):
        if text:
            frame += nodes.literal_block(text, text, language="none", classes=[kind])
    return frame


@directive("raises", Needs(executes=True))
class Raises(Program):
    """The program that raises the message of this entry; the entry joins the index."""

    title = "What raises it"
    css = "bp-raises"

    def malformed(self, code: str, expected: str | None) -> str | None:
        if not expected:
            return "below the program and a line of three hyphens stands the message it raises"
        return super().malformed(code, expected)


@directive("attempt", Needs(executes=True))
class Attempt(Program):
    """What people try: it still raises, or prints what is wrong with it."""

    title = "What people try, and what comes of it"
    css = "bp-attempt"


@directive("fix", Needs(executes=True))
class Fix(Program):
    """What helps: it raises nothing, and warns of nothing."""

    title = "What helps"
    css = "bp-fix"

    def malformed(self, code: str, expected: str | None) -> str | None:
        if expected is not None:
            return "a fix raises nothing: there is no message to write below it"
        return super().malformed(code, expected)


def run(code: str, draw: str | None = None) -> Outcome:
    """Run ``code`` as a program of its own, with all of torch's switches in their usual places."""
    from press.watch import observation  # torch is imported only where something is executed

    observation.reset()
    try:
        ran = programs.run(code)
        drawing = _draw(ran.names[draw], ran.names) if draw else None
    finally:
        observation.reset()
    return Outcome(ran.printed, ran.message, drawing)


def _asserts(code: str) -> bool:
    """Whether a program holds something against something else.

    >>> _asserts("print(1)"), _asserts("assert x == 1"), _asserts("assert True")
    (False, True, False)
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:  # it is what such a program raises
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Call) and "assert_close" in ast.unparse(node.func):
            return True
    return False


def _says(said: str | None, written: str | None) -> bool:
    """Whether that is what is written; a message may be cut off where an ellipsis ends it."""
    if said is not None and written is not None and written.endswith("…"):
        return said.startswith(written.removesuffix("…").rstrip())
    return said == written


def _flowing(text: str | None) -> str | None:
    """A message as one line: how it is broken into lines is up to whoever writes it down."""
    return None if text is None else " ".join(text.split())


def _draw(value: object, names: dict) -> str:
    import backwardpass

    return backwardpass.trace(value, names=names).to_svg(title="The graph at that moment")


class messages(nodes.General, nodes.Element):
    """Stands where the list of all messages is put once every page was read."""


@directive("error-search", NOTHING)
class ErrorSearch(SphinxDirective):
    """A field that takes a pasted message, above the list of all messages of the book."""

    def run(self) -> list[nodes.Node]:
        return [messages()]


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the list where it belongs: each message, linked to its entry."""
    for place in list(doctree.findall(messages)):
        rows = "".join(
            f'<li><a href="{escape(app.builder.get_relative_uri(docname, page))}#{escape(anchor)}">'
            f"{escape(title)}</a><code>{escape(message)}</code></li>"
            for page, anchor, title, message in listed(app.env)
        )
        place.replace_self(
            raw(
                '<div class="bp-message-search" hidden><label for="bp-message">'
                "Paste a message, or a part of it</label>"
                '<textarea id="bp-message" rows="3" spellcheck="false"></textarea>'
                '<p class="bp-found" role="status"></p></div>'
                f'<ol class="bp-messages">{rows}</ol>'
            )
        )


def listed(env: BuildEnvironment) -> list[tuple[str, str, str, str]]:
    """Every entry, as the pages follow: its page, its anchor, its title and its message."""
    place = {page: number for number, page in enumerate(reading_order(env))}
    pages = sorted(env.bp_messages, key=lambda page: (place.get(page, len(place)), page))
    return [(page, *entry) for page in pages for entry in env.bp_messages[page]]


def reading_order(env: BuildEnvironment) -> list[str]:
    """The pages of the table of contents, from the first to the last."""
    order, waiting = {}, [env.config.root_doc]
    while waiting:
        page = waiting.pop()
        if page not in order:
            order[page] = None
            waiting += reversed(env.toctree_includes.get(page, []))
    return list(order)


def list_again(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The page with the list is written anew whenever an entry may have changed."""
    return [name for name in env.found_docs if "bp_message_list" in env.metadata.get(name, ())]


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Compare what was said with what is written, and enter what a page raises into the index."""
    docname = app.env.docname
    for place in list(doctree.findall(program)):
        section = place.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        title = "" if section is None else section.next_node(nodes.title).astext()
        written, said = place["written"], place["said"]
        if not _says(said, written):
            logger.warning(
                "entry %r: PyTorch does not say what is written here\n  written: %s\n  raised:  %s",
                title,
                written or "nothing is raised",
                said or "nothing was raised",
                location=place,
                type="gate",
                subtype="message",
            )
        elif place["kind"] in PROVES and not said and not place["asserts"]:
            logger.warning(
                "entry %r: the program asserts nothing; assert %s",
                title,
                PROVES[place["kind"]],
                location=place,
                type="gate",
                subtype="message",
            )
        if place["kind"] == "raises" and section is not None:
            entry = section["ids"][0], title, written
            app.env.bp_messages.setdefault(docname, []).append(entry)
        place.replace_self(place.children)
    if next(iter(doctree.findall(messages)), None) is not None:
        app.env.metadata[docname]["bp_message_list"] = True


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget the messages of a page that is read again."""
    env.bp_messages.pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other) -> None:
    """Add the messages that another reader found."""
    for docname in docnames:
        if docname in other.bp_messages:
            env.bp_messages[docname] = other.bp_messages[docname]


def prepare(app: Sphinx) -> None:
    """Make room for the messages that pages explain."""
    if not hasattr(app.env, "bp_messages"):
        app.env.bp_messages = {}


def publish(app: Sphinx, exception: Exception | None) -> None:
    """Write the messages where the page of search results loads them, from disk as well."""
    if exception is not None or app.builder.format != "html":
        return
    found = [
        {"title": title, "message": message, "address": f"{app.builder.get_target_uri(page)}#{at}"}
        for page, at, title, message in listed(app.env)
    ]
    text = json.dumps(found, ensure_ascii=True).replace("<", "\\u003c")
    Path(app.outdir, "_static", DATA).write_text(f"window.bpMessages = {text};\n", "utf-8")


def setup(app: Sphinx) -> None:
    app.add_node(messages)
    app.add_node(program)
    app.add_js_file("messages.js", defer="")
