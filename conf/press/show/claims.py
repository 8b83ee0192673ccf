"""Statements about autograd that readers meet, each with what is so and the place that shows it.

They are data, in ``book/reference/claims``, a file for each document they were met in.  A page
that lists them is what checks them: a row without the place it should have, and a place that is
not there, fail the build by the row's name.
"""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx_exercise.nodes import exercise_subtitle

from press import project
from press.fences import NOTHING, directive
from press.show.tables import Markup, raw, table, with_code

logger = logging.getLogger(__name__)

# Each verdict, and what it says of a statement.
VERDICTS = {
    "true": "it is so",
    "false": "it is not so",
    "imprecise": "right in the case shown, and wrong or incomplete as a rule",
    "outdated": "this version of PyTorch does something else",
    "requirement": "it asks for something",
    "not checked": "an opinion, or about something that is not part of this build",
}
NAME = re.compile(r"[A-Z]-\d\d+")


@dataclass(frozen=True)
class Claim:
    """A row of the inventory, in this book's words."""

    name: str
    says: str
    verdict: str
    so: str
    topic: str
    part: str
    source: str  # the file it stands in, and its line: where to mend it
    place: str = ""  # page#section, or empty while there is none
    needs_none: str = ""  # why it needs no place
    met: str = ""  # where a reader meets it
    listed: bool = False  # whether the page of claims shows it


GIVEN = {field.name for field in fields(Claim)} - {"name", "source"}
REQUIRED = {"says", "verdict", "so", "topic", "part"}


@dataclass(frozen=True)
class Failure:
    """What is wrong with a row, and where it stands."""

    source: str
    message: str


def folder() -> Path:
    return project.REFERENCE / "claims"


def parts() -> dict[str, dict]:
    """The parts of the book in their order: ``title``, and whether it is ``finished``."""
    return tomllib.loads((folder() / "parts.toml").read_text("utf-8"))


def load() -> tuple[list[Claim], list[Failure]]:
    """Every row that can be read, in the order of the files, and what is wrong with the others."""
    claims: dict[str, Claim] = {}
    failures = []
    known = parts()
    for path in sorted(folder().glob("*.toml")):
        if path.name == "parts.toml":
            continue
        text = path.read_text("utf-8")
        where = path.relative_to(project.ROOT).as_posix()
        try:
            rows = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            failures.append(Failure(where, f"cannot be read: {error}"))
            continue
        for name, row in rows.items():
            source = f"{where}:{_line(text, name)}"
            wrong = _wrong(name, row, known)
            if name in claims:
                wrong = f"is a row of {claims[name].source} already"
            if wrong:
                failures.append(Failure(source, f"{name} {wrong}"))
            else:
                claims[name] = Claim(name=name, source=source, **row)
    return list(claims.values()), failures


def _line(text: str, name: str) -> int:
    return text[: text.find(f"[{name}]")].count("\n") + 1


def _wrong(name: str, row: object, known: dict) -> str | None:
    """What keeps a row from being a claim; a clause that begins with a verb."""
    if not NAME.fullmatch(name) or not isinstance(row, dict):
        return "is no row: it begins with a letter, a hyphen and a number in brackets"
    if missing := REQUIRED - row.keys():
        return f"lacks {', '.join(sorted(missing))}"
    if unknown := row.keys() - GIVEN:
        return f"has {', '.join(sorted(unknown))}, which no row has"
    if empty := [key for key in sorted(REQUIRED) if not str(row[key]).strip()]:
        return f"has nothing under {', '.join(empty)}"
    if row["verdict"] not in VERDICTS:
        return f"has the verdict {row['verdict']!r}; there are: {', '.join(VERDICTS)}"
    if row["part"] not in known:
        return f"belongs to the part {row['part']!r}; there are: {', '.join(known)}"
    if row.get("place") and row.get("needs_none"):
        return "has a place, and says that it needs none"
    if row.get("place") and not re.fullmatch(r"[^#\s]+#[^#\s]+", row["place"]):
        return f"has the place {row['place']!r}, which is not page#section"
    return None


# --- Places ---------------------------------------------------------------------------------------


def resolve(env: BuildEnvironment, place: str) -> tuple[str, str, str]:
    """The page, the id and the title of a place.

    Raises
    ------
    LookupError
        There is no such page, or nothing of that name on it; the message says which.
    """
    docname, _, anchor = place.partition("#")
    if docname not in env.found_docs:
        raise LookupError(f"there is no page {docname}")
    slugs = env.metadata[docname].get("myst_slugs", {})
    if anchor in slugs:
        _, target, title = slugs[anchor]
        return docname, target or anchor, title
    exercise = getattr(env, "sphinx_exercise_registry", {}).get(anchor)
    if exercise and exercise["docname"] == docname:
        titles = exercise["node"].findall(exercise_subtitle)
        return docname, anchor, "".join(title.astext() for title in titles) or "an exercise"
    labels = env.get_domain("std").anonlabels
    if labels.get(anchor, ("",))[0] == docname:
        named = env.get_domain("std").labels.get(anchor)
        title = named[2] if named else env.titles[docname].astext()
        return docname, labels[anchor][1], title
    near = difflib.get_close_matches(anchor, slugs, n=1)
    meant = f'; did you mean "{near[0]}"?' if near else ""
    raise LookupError(f"{docname} has no section {anchor}{meant}")


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Report every row that cannot be read, that lacks a place, or whose place is not there."""
    showing = [meta["claims"] for meta in env.metadata.values() if "claims" in meta]
    if not showing:
        return
    claims, failures = load()
    # One page alone has no neighbours that a place could be on.
    if "sphinx_external_toc" in app.extensions:
        shown = {name for names in showing for name in names}
        failures += [failure for claim in claims for failure in _lost(env, claim, shown)]
    for failure in failures:
        logger.warning(failure.message, location=failure.source, type="gate", subtype="claim")


def _lost(env: BuildEnvironment, claim: Claim, shown: set[str]) -> Iterator[Failure]:
    return (Failure(claim.source, f"{claim.name} {why}") for why in _why_lost(env, claim, shown))


def _why_lost(env: BuildEnvironment, claim: Claim, shown: set[str]) -> Iterator[str]:
    part = parts()[claim.part]
    if claim.place:
        try:
            resolve(env, claim.place)
        except LookupError as nowhere:
            yield f"has the place {claim.place}, but {nowhere}"
    elif not claim.needs_none and part["finished"]:
        yield f'has no place, and its part "{part["title"]}" is finished'
    if claim.listed and claim.name not in shown:
        yield f"is to be listed, but no page lists the topic {claim.topic!r}"
    if claim.listed and not claim.place:
        yield "is to be listed, and has no place that shows it"


# --- Pages ----------------------------------------------------------------------------------------


class place_node(nodes.Inline, nodes.TextElement):
    """Stands where the link to a place is put once every page is known."""


class table_node(nodes.General, nodes.Element):
    """Stands where the table of a document's rows is put once every page is known."""


@directive("claims", NOTHING)
class ClaimsDirective(SphinxDirective):
    """The argument is a topic: the rows of it that are to be listed, false ones first."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        topic = self.arguments[0]
        claims = [c for c in load()[0] if c.listed and c.topic == topic]
        if not claims:
            raise self.error(
                f"no row of book/reference/claims with the topic {topic!r} is to be listed"
            )
        _note(self.env, claims)
        claims.sort(key=lambda claim: claim.verdict != "false")
        return [nodes.bullet_list("", *map(_item, claims), classes=["bp-claims"])]


@directive("claims-table", NOTHING)
class ClaimsTableDirective(SphinxDirective):
    """The argument is the letter of a document: all of its rows, and where each is answered."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        letter = self.arguments[0]
        claims = [c for c in load()[0] if c.name.startswith(f"{letter}-")]
        if not claims:
            raise self.error(f"no row of book/reference/claims begins with {letter!r}")
        _note(self.env, claims)
        return [table_node(claims=claims)]


@directive("claims-count", NOTHING)
class ClaimsCountDirective(SphinxDirective):
    """How many rows there are of each verdict, and how many of them have a place."""

    def run(self) -> list[nodes.Node]:
        claims = load()[0]
        _note(self.env, [])
        rows = []
        for verdict, meaning in VERDICTS.items():
            of_it = [c for c in claims if c.verdict == verdict]
            placed = sum(bool(c.place) for c in of_it)
            rows.append((verdict, meaning, len(of_it), placed))
        rows.append(("all", "", len(claims), sum(bool(c.place) for c in claims)))
        headers = ("verdict", "what it says", "statements", "with a place")
        return [raw(table(headers, rows, "The inventory", "bp-inventory"))]


def _note(env: BuildEnvironment, claims: Iterable[Claim]) -> None:
    metadata = env.metadata[env.docname]
    metadata.setdefault("claims", []).extend(claim.name for claim in claims)
    metadata["claims_digest"] = digest()


def _item(claim: Claim) -> nodes.list_item:
    says = nodes.paragraph(classes=["bp-claim-says"])
    says += nodes.inline("", claim.verdict, classes=["bp-verdict"])
    says += [nodes.Text(" "), *_words(claim.says)]
    so = nodes.paragraph(classes=["bp-claim-so"])
    so += [*_words(claim.so), nodes.Text(" "), place_node(place=claim.place)]
    if claim.met:
        so += nodes.inline("", f" Met in {claim.met}.", classes=["bp-claim-met"])
    name = f"claim-{claim.name.lower()}"
    link = nodes.reference("", "¶", refuri=f"#{name}", reftitle="Link to this claim")
    link["classes"].append("headerlink")
    says += link
    classes = ["bp-claim", f"bp-claim-{claim.verdict.replace(' ', '-')}"]
    return nodes.list_item("", says, so, ids=[name], classes=classes)


def _words(text: str) -> Iterator[nodes.Node]:
    """``text`` with what stands between backticks as code."""
    for number, piece in enumerate(text.split("`")):
        if piece:
            yield nodes.literal("", piece) if number % 2 else nodes.Text(piece)


def put_places(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put links where places were promised; while a page is built alone, nothing."""
    for node in list(doctree.findall(place_node)):
        found = _link(app, docname, node["place"])
        if found is None:
            node.parent.remove(node)
            continue
        uri, title = found
        here = node["place"].partition("#")[0] == docname
        link = nodes.reference("", "below" if here else title, refuri=uri, internal=True)
        node.replace_self([nodes.Text("Shown " if here else "Shown in "), link, nodes.Text(".")])
    for node in list(doctree.findall(table_node)):
        rows = [_row(app, docname, claim) for claim in node["claims"]]
        headers = ("row", "what is asked", "what is so", "where")
        node.replace_self(raw(table(headers, rows, "Every row, and where it is", "bp-inventory")))


def _row(app: Sphinx, docname: str, claim: Claim) -> tuple:
    found = _link(app, docname, claim.place) if claim.place else None
    if found:
        uri, title = found
        where = Markup(f'<a class="reference internal" href="{escape(uri)}">{with_code(title)}</a>')
    else:
        elsewhere = claim.place.partition("#")[0]  # this page is built alone
        where = with_code(elsewhere or claim.needs_none or "not written yet")
    return claim.name, with_code(claim.says), with_code(claim.so), where


def _link(app: Sphinx, docname: str, place: str) -> tuple[str, str] | None:
    try:
        page, target, title = resolve(app.env, place)
        return f"{app.builder.get_relative_uri(docname, page)}#{target}", title
    except (LookupError, ValueError):
        return None  # reported by ``check``, where there are other pages


# --- Nothing stale --------------------------------------------------------------------------------


def digest() -> str:
    """Hash of the whole inventory."""
    found = hashlib.sha256()
    for path in sorted(folder().glob("*.toml")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def outdated(app: Sphinx, env: BuildEnvironment, added, changed, removed) -> list[str]:
    """The pages that show rows, when any row was changed since they were read."""
    read = {name: meta["claims_digest"] for name, meta in env.metadata.items() if "claims" in meta}
    if not read:
        return []
    now = digest()
    return [name for name, then in read.items() if then != now and name in env.found_docs]


def remember(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Note whether any page is read: only then can a list of claims be another."""
    app.reads_a_page = bool(docnames)


def written_anew(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages that show rows, when a page was read whose titles their links may bear."""
    return [name for name, meta in env.metadata.items() if "claims" in meta and app.reads_a_page]


def setup(app: Sphinx) -> None:
    app.add_node(place_node)
    app.add_node(table_node)
    # `page.assets` asks for it only where a page has a list.
