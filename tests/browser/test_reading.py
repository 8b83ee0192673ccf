"""What a reader does with a page: type an answer, paste a message, copy code, read it offline."""

import base64
import json
from urllib.parse import quote

import pytest


def with_markup(markup):
    """Only for the pages that have ``markup``."""

    def mark(function):
        function.with_markup = markup
        return function

    return mark


def typed(value: object) -> str:
    """An answer as a reader would type it."""
    return value if isinstance(value, str) else json.dumps(value)


@with_markup('class="bp-answer"')
def test_answers_are_judged(page, address, page_name):
    """What the build computed is right when typed, each mistake it foresees is told, by name."""
    page.goto(address + page_name)
    found = []
    for form in page.query_selector_all("form.bp-answer"):
        hidden = base64.b64decode(form.get_attribute("data-answer"))
        question = json.loads(bytes(byte ^ 0x5A for byte in hidden))
        field = form.query_selector("input")
        for state, kept in [("right", question["right"])] + [
            ("wrong", kept) for kept in question["wrong"]
        ]:
            field.fill(typed(kept["value"]))
            field.press("Enter")
            said = form.query_selector(".bp-answer-said").inner_text()
            if form.get_attribute("data-state") != state or not said.strip():
                found.append(f"{form.get_attribute('id')}: {kept['value']} is {said!r}")
    assert not found
    assert not page.complaints


def test_a_pasted_message_finds_its_entry(page, address):
    """Typed into the error index with other numbers, and into the search, a message leads there."""
    message = "RuntimeError: Trying to backward through the graph a second time (or directly access"
    page.goto(address + "reference/error_index.html")
    page.locator(".bp-message-search textarea").fill(message)
    first = page.locator(".bp-messages > li:not([hidden])").first
    assert "a second time" in first.inner_text()
    page.goto(f"{address}search.html?q={quote(message)}")
    assert "a second time" in page.locator(".bp-from-index li").first.inner_text()
    assert not page.complaints


def test_statements_can_be_filtered(page, address):
    """By words and by verdict, and all of them come back."""
    page.goto(address + "reference/claims.html")
    field, verdict = page.locator(".bp-filter-form input"), page.locator(".bp-filter-form select")
    shown = page.locator(".bp-claim:not([hidden])")
    all_of_them = shown.count()
    field.fill("nodes TENSORS")
    words = shown.all_inner_texts()
    assert 0 < len(words) < all_of_them
    assert all("nodes" in text.lower() and "tensors" in text.lower() for text in words)
    verdict.select_option("false")
    assert 0 < shown.count() < len(words)
    assert set(shown.locator(".bp-verdict").all_inner_texts()) == {"false"}
    assert page.locator(".bp-filter-form [role=status]").inner_text().startswith(str(shown.count()))
    field.fill("")
    verdict.select_option("")
    assert shown.count() == all_of_them


@pytest.mark.parametrize(
    "name", ["graph/two_layer_mlp.html", "reference/claims.html", "errors/passes.html"]
)
def test_links_to_places_are_there_for_the_keyboard(page, address, name):
    """The sign beside a heading, an exercise or a statement is seen when the Tab key is on it."""
    page.goto(address + name)
    opacity = "sign => getComputedStyle(sign).opacity"
    signs = page.locator("article .headerlink")
    for sign in (signs.nth(1), signs.last):
        assert sign.evaluate(opacity) == "0"
        sign.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        assert sign.evaluate("sign => sign === document.activeElement")
        assert sign.evaluate(opacity) == "1"


def test_copied_code_runs(context, page, address):
    """A copy button leaves out prompts and outputs."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(address + "memory/not_recording.html")
    block = page.locator(".doctest .highlight, .highlight-pycon .highlight", has_text=">>>").first
    shown = block.locator("pre").inner_text()
    block.hover()
    block.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied
    assert ">>>" not in copied
    lines = [line[4:] for line in shown.splitlines() if line.startswith((">>> ", "... "))]
    assert list(filter(None, copied.split("\n"))) == lines
    compile(copied, "copied", "exec")


@with_markup('class="bp-stepper"')
def test_a_saved_book_works(page, html, page_name):
    """Opened as a file, a page steps through its drawings and complains of nothing."""
    page.goto((html / page_name).as_uri())
    for root in page.query_selector_all(".bp-stepper"):
        root.query_selector('[data-go="last"]').click()
        said = root.query_selector(".bp-said").inner_text()
        assert "step" in said.split(".")[0]
    assert not page.complaints
    assert all(url.startswith(("file:", "data:")) for url in page.asked)


@pytest.mark.parametrize("size", [(1280, 800), (360, 800)], ids=["desk", "phone"])
def test_the_landing_page_says_what_the_book_is(page, address, size):
    """In one screen: what the book is, why to trust it, and the drawing to step through begins."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(address)
    for selector in ("h1", ".bp-landing-text p:nth-of-type(2)"):
        box = page.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] <= size[1], selector
    drawing = page.locator(".bp-landing .bp-stepper svg").first.bounding_box()
    assert drawing["y"] < size[1]
    if size[0] > 1000:
        assert drawing["y"] + drawing["height"] <= size[1]
    page.locator('.bp-stepper [data-go="next"]').click()
    assert "step 1" in page.locator(".bp-said").inner_text()
