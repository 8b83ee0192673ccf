"""A claim on a page, with what this build tried of it; what repeats it; and the list of all.

``claim`` states it, with its domain.  Its falsifier has the same id and lies in
``book/reference/claims/falsifiers``; trials run before pages are read, in a process of their own,
and not at all where nothing they depend on changed.  ``claim-ref`` stands where a claim is
repeated, and holds a digest of it: when the claim changes, the repetition has to be confirmed.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

from press import project
from press.fences import NOTHING, directive
from press.trials.claims import kept

logger = logging.getLogger(__name__)

ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
EXAMPLE = "in this example"
# The page that lists every claim, with how it is tried.
LIST = "reference/tried"


def digest(statement: str, domain: str) -> str:
    """Six letters for what a claim says: its words, however they are broken into lines.

    >>> digest("It holds.", "any graph") == digest("It\\n  holds.", "any graph")
    True
    """
    words = " ".join(f"{statement} {domain}".split())
    return hashlib.sha256(words.encode()).hexdigest()[:6]


# --- Before pages are read ------------------------------------------------------------------------


def examine(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """Try the claims that pages state, report what is wrong, return pages that show another."""
    stated = _stated(env)
    if not stated:
        return []
    for message, place in _twice(list(kept.declared())):
        report(message, place)
    todo = kept.outdated(set(stated))
    if todo:
        command = [sys.executable, "-m", "press.trials.claims.run", *todo]
        command += ["--store", str(kept.STORE), "--jobs", str(app.parallel or 1)]
        ran = subprocess.run(command, cwd=project.CONF, capture_output=True, encoding="utf-8")
        if ran.returncode:
            report(f"the trial of claims ended with {ran.returncode}: {ran.stderr[-2000:]}")
    results = kept.read()
    for id in stated:
        for complaint in results.get(id, {}).get("complaints", ()):
            program = results[id].get("refuted", "")
            shown = f"\n\n{program}" if program else ""
            report(f"{id}: {complaint}{shown}", results[id]["place"])
    return [
        docname
        for docname, metadata in env.metadata.items()
        if docname in env.found_docs
        and any(_shown(results, id) != seen for id, seen in metadata.get("tried", {}).items())
    ]


def _stated(env: BuildEnvironment) -> dict[str, str]:
    """Each id that a chapter states, with its page."""
    found = {}
    for docname in sorted(env.found_docs):
        found |= dict.fromkeys(kept.stated(Path(env.doc2path(docname))), docname)
    return found


def _twice(declared: list[kept.Declared]) -> list[tuple[str, str]]:
    seen: dict[str, kept.Declared] = {}
    found = []
    for one in declared:
        if one.id in seen:
            message = (
                f"the claim {one.id} has a falsifier at {seen[one.id].place} already; "
                "give one of them another id"
            )
            found.append((message, one.place))
        seen.setdefault(one.id, one)
    return found


def _shown(results: dict[str, dict], id: str) -> str:
    """What a page shows of a result; it is read again when this changes."""
    searched = kept.read(kept.SEARCHED).get(id, {})
    return hashlib.sha256(repr((results.get(id), searched)).encode()).hexdigest()


def report(message: str, place: object = "book/reference/claims/falsifiers") -> None:
    logger.warning(message, location=place, type="gate", subtype="world")


# --- The claim ------------------------------------------------------------------------------------


@directive("claim", NOTHING)
class Claim(SphinxDirective):
    """A statement over a domain, with what tried it.

    ``domain`` says over what it holds, or "in this example": then what stands beside it shows it,
    and nothing is drawn.  ``tried`` says how it is tried, where the docstring of the falsifier
    does not say it in words for a page.
    """

    required_arguments = 1
    has_content = True
    option_spec = {
        "domain": directives.unchanged_required,
        "tried": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        id = self.arguments[0]
        domain = " ".join(self.options.get("domain", "").split())
        if not ID.fullmatch(id):
            raise self.error(f"claim {id}: an id is lower-case words with hyphens between them")
        if not domain:
            raise self.error(
                f"claim {id} has no domain; add :domain: with over what it holds, or "
                f'":domain: {EXAMPLE}"'
            )
        if not self.content:
            raise self.error(f"claim {id} has no statement; write it inside the directive")
        frame = nodes.container(classes=["bp-claim"], ids=[f"claim-{id}"])
        self.state.nested_parse(self.content, self.content_offset, frame)
        statement = frame.astext()
        first = frame.next_node(nodes.paragraph)
        if first is None:
            raise self.error(f"claim {id}: the statement begins with a paragraph")
        first.insert(0, [nodes.strong("", "Claim."), nodes.Text(" ")])
        frame += self._tried(id, domain)
        stated = _data(self.env).setdefault(self.env.docname, {})
        if id in stated:
            raise self.error(f"claim {id} stands on this page already; an id is used once")
        stated[id] = {
            "line": self.lineno,
            "statement": statement,
            "domain": domain,
            "tried": self.options.get("tried", ""),
            "digest": digest(statement, domain),
        }
        return [frame]

    def _tried(self, id: str, domain: str) -> nodes.paragraph:
        line = nodes.paragraph(classes=["bp-tried"])
        known = kept.falsifiers()
        if domain == EXAMPLE:
            if id in known:
                raise self.error(
                    f'claim {id} has a falsifier, and its domain is "{EXAMPLE}"; name the domain'
                )
            line += nodes.Text("In this example.")
            return line
        if id not in known:
            raise self.error(
                f"claim {id} has no falsifier; write one in book/reference/claims/falsifiers "
                f'under @claim("{id}", ...), or say ":domain: {EXAMPLE}"'
            )
        results = kept.read()
        self.env.metadata[self.env.docname].setdefault("tried", {})[id] = _shown(results, id)
        line += nodes.Text(f"On {domain}: {sentence(results.get(id, {}))}")
        if f"{LIST}" in self.env.found_docs:
            link = _reference(id, LIST, f"tried-{id}", "how it was tried")
            line += [nodes.Text("; "), link]
        line += nodes.Text(".")
        return line


def sentence(result: dict) -> str:
    """What a build tried, in words.

    >>> sentence({"held": 90, "cases": 100, "noun": "programs", "exceptions": {"two threads": 10}})
    'held for 90 of 100 programs; exceptions: two threads (10)'
    """
    if "held" not in result:
        return "not tried"
    words = f"held for {result['held']:,} of {result['cases']:,} {result['noun']}"
    if result["exceptions"]:
        known = ", ".join(f"{what} ({times:,})" for what, times in result["exceptions"].items())
        words += f"; exceptions: {known}"
    return words


# --- What repeats it ------------------------------------------------------------------------------


class ClaimRef(SphinxRole):
    """A repetition of a claim, as ``id@digest`` or as ``words <id@digest>``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = re.fullmatch(
            r"(?:(?P<words>.+?)\s*<)?(?P<id>[\w-]+)(?:@(?P<digest>\w*))?>?", self.text
        )
        if not found:
            message = f"claim-ref takes id@digest or words <id@digest>, and got {self.text}"
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        id = found["id"]
        repeated = _data(self.env, "repeated").setdefault(self.env.docname, [])
        repeated.append({"id": id, "digest": found["digest"] or "", "line": self.lineno})
        words = found["words"] or "tried"
        return [_reference(id, "", f"claim-{id}", words)], []


class claim_reference(nodes.Inline, nodes.TextElement):
    """Stands where the link to a claim is put once every page is known."""


def _title(id: str, statement: str) -> str:
    r"""What a list calls a claim: its statement, or its id where that is a formula.

    >>> _title("softmax-rows", "Rows\nsum to one.")
    'Rows sum to one.'
    >>> _title("attention-rule", r"\bar V = P^\top \bar O")
    'attention rule'
    """
    return id.replace("-", " ") if "\\" in statement else " ".join(statement.split())


def _reference(id: str, docname: str, anchor: str, words: str) -> claim_reference:
    text = nodes.inline("", words)
    return claim_reference("", "", text, id=id, docname=docname, anchor=anchor)


def _data(env: BuildEnvironment, kind: str = "stated") -> dict:
    """What pages state, or repeat: by page."""
    return env.__dict__.setdefault("backwardpass_claims", {}).setdefault(kind, {})


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget what a page stated and repeated, before it is read again."""
    for kind in ("stated", "repeated"):
        _data(env, kind).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    """Add what another reader found stated and repeated."""
    for kind in ("stated", "repeated"):
        theirs = _data(other, kind)
        _data(env, kind).update({d: theirs[d] for d in docnames if d in theirs})


def stated(env: BuildEnvironment) -> dict[str, dict]:
    """Every claim by its id, with its page; of two with one id the first."""
    found: dict[str, dict] = {}
    for docname, claims in sorted(_data(env).items()):
        for id, claim in claims.items():
            found.setdefault(id, claim | {"docname": docname})
    return found


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Report ids used twice, and repetitions of nothing or of what has changed."""
    known = stated(env)
    for docname, claims in sorted(_data(env).items()):
        for id, claim in claims.items():
            if known[id]["docname"] != docname:
                other = f"{known[id]['docname']}.md:{known[id]['line']}"
                message = f"the claim {id} stands in {other} already; give one another id"
                report(message, (docname, claim["line"]))
    if "sphinx_external_toc" not in app.extensions:
        return  # one page alone has no neighbours that could state what it repeats
    for docname, repeated in sorted(_data(env, "repeated").items()):
        for one in repeated:
            if message := _unconfirmed(one, known):
                report(message, (docname, one["line"]))


def _unconfirmed(one: dict, known: dict[str, dict]) -> str:
    """What is wrong with a repetition, or nothing."""
    id = one["id"]
    if id not in known:
        return f"claim-ref: no page states the claim {id}; there are: {', '.join(known) or 'none'}"
    now = known[id]["digest"]
    if not one["digest"]:
        return f"claim-ref: see that this is no stronger than the claim {id}, and write {id}@{now}"
    if one["digest"] != now:
        return (
            f"claim-ref: the claim {id} has changed since this was confirmed; it says now: "
            f'"{" ".join(known[id]["statement"].split())}" Read both, and write {id}@{now}'
        )
    return ""


# --- The list of all ------------------------------------------------------------------------------


@directive("claims-tried", NOTHING)
class ClaimsTried(SphinxDirective):
    """Every claim: its world, how it is tried, and the stronger statements that fell."""

    option_spec = {"totals": directives.flag}

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["claims-tried"] = True
        return [claims_list("", totals="totals" in self.options)]


class claims_list(nodes.General, nodes.Element):
    """Stands where the list is put once every page is known."""


def listed(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages with the list, when what it shows is not what they were written with."""
    results = kept.read()
    known = stated(env)
    now = hashlib.sha256(repr([(id, known[id], results.get(id)) for id in known]).encode())
    before = env.__dict__.get("backwardpass_claims_listed")
    env.backwardpass_claims_listed = now.hexdigest()
    if before == now.hexdigest():
        return []
    return [d for d, metadata in env.metadata.items() if "claims-tried" in metadata]


def resolve(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the list and the links where they belong."""
    known = stated(app.env)
    for place in list(doctree.findall(claims_list)):
        place.replace_self(_totals(known) if place["totals"] else _list(known))
    for place in list(doctree.findall(claim_reference)):
        target = place["docname"] or known.get(place["id"], {}).get("docname")
        if target is None or target not in app.env.found_docs:
            place.replace_self(place.children)
            continue
        link = make_refnode(app.builder, docname, target, place["anchor"], place.children)
        link["classes"].append("bp-claim-ref")
        place.replace_self(link)


def _totals(known: dict[str, dict]) -> nodes.paragraph:
    results = {id: found for id, found in kept.read().items() if id in known}
    cases = sum(found.get("cases", 0) for found in results.values())
    controls = [c for found in results.values() for c in found.get("controls", ())]
    fell = sum(control["fell"] for control in controls)
    examples = sum(claim["domain"] == EXAMPLE for claim in known.values())
    return nodes.paragraph(
        "",
        f"Claims tried in this build: {len(results):,}, on {cases:,} cases; about the example "
        f"beside them: {examples:,}. "
        f"Statements made too strong: {len(controls):,}; refuted: {fell:,}.",
    )


def _list(known: dict[str, dict]) -> list[nodes.Node]:
    results = kept.read()
    searched = kept.read(kept.SEARCHED)
    entries = [
        _entry(id, claim, results[id], searched.get(id, {}))
        for id, claim in known.items()
        if id in results and "held" in results[id]
    ]
    return [nodes.definition_list("", *entries)] if entries else []


def _entry(id: str, claim: dict, result: dict, searched: dict) -> nodes.definition_list_item:
    """A claim as the term, what tried it as its definition."""
    name = nodes.term("", "", ids=[f"tried-{id}"])
    name += _reference(id, "", f"claim-{id}", _title(id, claim["statement"]))
    said = [
        f"World: {result['world'].rstrip('.')}.",
        f"Tried: {claim['tried'] or result['tried']}",
        f"In this build: {sentence(result)}.",
    ]
    if searched.get("key") == result["key"]:
        said.append(f"In a search apart from it: {sentence(searched)}.")
    body = nodes.definition("", *(nodes.paragraph("", words) for words in said))
    for control in result["controls"]:
        told = f"Too strong, and refuted: “{control['statement']}” By:"
        body += nodes.paragraph("", told)
        code = control["case"]
        body += nodes.literal_block(code, code, language="python")
    return nodes.definition_list_item("", name, body)


def setup(app: Sphinx) -> None:
    app.add_role("claim-ref", ClaimRef())
    app.add_node(claim_reference)
    app.add_node(claims_list)
