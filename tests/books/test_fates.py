"""The table of what has no derivative, in a book."""


def test_another_pytorch_is_told(make_book):
    """A file of another version is a problem of the build, which names the command."""
    book = make_book("fates")
    book.write("book/index.md", "# Fates\n\n```{operator-fates} counts\n```\n")
    book.contents()
    assert book.build("book/index.md").status == 0
    page = (book.root / "_build" / "one" / "index" / "pages" / "index.html").read_text("utf-8")
    assert "attached and sent zeros in each call" in page
    path = book.root / "conf" / "press" / "trials" / "operators" / "fates.json"
    path.write_text(path.read_text("utf-8").replace('"torch": "', '"torch": "0.', 1), "utf-8")
    failed = book.build("book/index.md")
    assert failed.status == 1
    assert any("press.trials.operators.fates" in problem for problem in failed.problems)
