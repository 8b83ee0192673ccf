"""A rule of the operator reference that is wrong fails the build of the pages that show it."""

import re
import shutil
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "src" / "backwardpass" / "vjps"
PAGE = "# Activations\n\n```{operator-rules} activations\n```\n"


def test_a_falsified_rule_fails_the_build(make_book, tmp_path):
    """The build names operation, case, argument and error; mended, it passes, and once only."""
    package = tmp_path / "src" / "backwardpass"
    shutil.copytree(RULES.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    rules = package / "vjps" / "activations.py"
    right = rules.read_text("utf-8")
    assert right.count('return {"input": g * (-input).sigmoid()}') == 1
    wrong = right.replace("g * (-input).sigmoid()", "g * input.sigmoid()")
    formula = r"\bar x = \bar y\,[0 < x < 6]"
    assert right.count(formula) == 1
    rules.write_text(wrong.replace(formula, r"\bar x = -7 \bar y\,[0 \le x \le 6]"), "utf-8")
    book = make_book("operators")
    book.write("book/index.md", PAGE)
    book.contents()
    path = {"PYTHONPATH": str(package.parent)}
    failed = book.build("book/index.md", **path)
    assert failed.status == 1
    wanted = (
        r"the rule logsigmoid, nn\.functional\.logsigmoid float64, sample 0, argument input, "
        r"against autograd: relative error [\d.]+, largest expected value [\d.]+"
    )
    told = next(problem for problem in failed.problems if re.search(wanted, problem))
    line = right[: right.index('@rule(\n    "nn.functional.logsigmoid"')].count("\n") + 1
    assert told.startswith(f"src/backwardpass/vjps/activations.py:{line}: ")
    told = next(problem for problem in failed.problems if "relu6" in problem)
    assert re.search(r"the rule relu6: its formula gives another gradient of x, off by \d", told)
    rules.write_text(right, "utf-8")
    assert book.build("book/index.md", **path).status == 0
    page = (book.root / "_build" / "one" / "index" / "pages" / "index.html").read_text("utf-8")
    assert 'id="nn.functional.logsigmoid"' in page
    assert "✗" not in page
    store = book.root / "_build" / "operators.json"
    checked = store.stat().st_mtime_ns
    assert book.build("book/index.md", **path).status == 0
    assert store.stat().st_mtime_ns == checked, "nothing changed, and the rules were checked again"
    rules.write_text(right + "# A remark.\n", "utf-8")
    assert book.build("book/index.md", **path).status == 0
    assert store.stat().st_mtime_ns != checked
