"""The built book in Chromium: served on this machine under a policy that lets nothing else in."""

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from served import ROOT, SWITCHES, chromium, serve

# A page is written by Sphinx; what it copies for readers to download is none.
NO_PAGES = ("_static", "_downloads", "_images", "_sources")


def pytest_addoption(parser):
    parser.addoption("--book", type=Path, default=ROOT, help="a folder with a built book")


def pytest_configure(config):
    """Say what is missing before anything else can fail."""
    if not (config.getoption("book") / "_build/html/index.html").is_file():
        pytest.exit("_build/html holds no book: build it first, with nox -s docs", returncode=4)
    if not chromium():
        pytest.exit(
            "no Chromium was found: install it (on Debian, apt-get install chromium), or name one "
            "in the environment variable CHROMIUM",
            returncode=4,
        )


def pages_of(root: Path) -> list[str]:
    """Every page of the book, by its path below ``_build/html``."""
    html = root / "_build/html"
    found = (path.relative_to(html) for path in html.rglob("*.html"))
    return sorted(path.as_posix() for path in found if path.parts[0] not in NO_PAGES)


def pytest_generate_tests(metafunc):
    if "page_name" in metafunc.fixturenames:
        names = pages_of(metafunc.config.getoption("book"))
        only = getattr(metafunc.function, "with_markup", None)
        if only:
            html = metafunc.config.getoption("book") / "_build/html"
            names = [name for name in names if only in (html / name).read_text("utf-8")]
            assert names, f"no page has {only}"
        metafunc.parametrize("page_name", names)


@pytest.fixture(scope="session")
def book(pytestconfig):
    """The folder with ``_build/html`` and ``book/gallery``."""
    return pytestconfig.getoption("book").resolve()


@pytest.fixture(scope="session")
def html(book):
    return book / "_build/html"


@pytest.fixture(scope="session")
def address(html):
    """Where the book is served."""
    server = serve(html)
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(SWITCHES))
        yield started
        started.close()


@pytest.fixture(scope="session")
def context(browser):
    """A reader at a desk, who wants nothing to move."""
    made = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    yield made
    made.close()


@pytest.fixture
def page(context):
    """A page that remembers what it complained of and what it asked for."""
    opened = context.new_page()
    opened.complaints, opened.asked = [], []
    opened.on("console", lambda m: _note(opened, m.type, m.text))
    opened.on("pageerror", lambda error: opened.complaints.append(f"raised {error}"))
    opened.on("request", lambda request: opened.asked.append(request.url))
    yield opened
    opened.close()


def _note(opened, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        opened.complaints.append(f"{kind}: {text}")
