"""The error index: what a program raises is compared with what is written, and pasting finds it.

That a page whose text differs fails the build, by the entry's name, is shown in
``test_everything_wrong.py``.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from press.page import mathematics
from press.show import errors

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted((ROOT / "book" / "errors").glob("*.md"))
RAISES = re.compile(r"^```\{raises\}\n(.*?)^---\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SEARCH = """
const { search } = require(process.argv[1]);
const [texts, entries] = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(texts.map((text) => search(text, entries))));
"""


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    """Every message that the book's pages write down, under the title it stands below."""
    found = []
    for page in PAGES:
        for section in re.split(r"^## ", page.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            title = section.partition("\n")[0]
            written = [" ".join(match[2].split()) for match in RAISES.finditer(section)]
            assert len(written) == 1, f"{page.name}: {title} raises {len(written)} messages"
            found.append({"title": title, "message": written[0]})
    return found


def search(texts: list[str], entries: list[dict]) -> list[list[str]]:
    """For each text the titles that the page would show, the best first."""
    done = subprocess.run(
        [mathematics.program(), "-e", SEARCH, ROOT / "_static" / "messages.js"],
        input=json.dumps([texts, entries]),
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    return [[entry["title"] for entry in found] for found in json.loads(done.stdout)]


def test_exception():
    """A program's exception is told as Python prints it, and what it printed before is kept."""
    outcome = errors.run("print('before')\nimport torch\ntorch.ones(2).backward()")
    said = "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"
    assert (outcome.printed, outcome.message) == ("before", said)


def test_name_with_module():
    """An exception that is none of Python's own is told with its module."""
    outcome = errors.run("import json\njson.loads('{')")
    assert outcome.message.startswith("json.decoder.JSONDecodeError: ")


def test_warning():
    """The last warning stands for a program that raises nothing, without PyTorch's own paths."""
    code = "import torch\ny = torch.ones(2, requires_grad=True) * 2\ny.grad"
    outcome = errors.run(code)
    assert outcome.message.startswith("UserWarning: The .grad attribute of a Tensor that is not")
    assert outcome.message.endswith("for more information.")


def test_nothing_is_left():
    """A program that switches gradients off leaves them on for whoever comes next."""
    import torch

    errors.run("import torch as t\nt.set_grad_enabled(False)\nt.set_default_dtype(t.float64)")
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32


def test_alone():
    """A program sees nothing of the program before it."""
    errors.run("left = 1")
    assert errors.run("left").message == "NameError: name 'left' is not defined"


@pytest.mark.parametrize(
    ("said", "written", "same"),
    [
        ("E: whole text", "E: whole text", True),
        ("E: whole text", "E: whole …", True),
        ("E: whole text", "E: whole", False),
        ("E: other text", "E: whole …", False),
        (None, "E: …", False),
        (None, None, True),
        ("E: unexpected", None, False),
    ],
)
def test_says(said, written, same):
    """Only an ellipsis at its end makes a shorter text the same as a longer one."""
    assert errors._says(said, written) is same


def test_programs_are_complete(entries):
    """Every program imports what it uses: it runs as printed, alone."""
    fences = re.compile(r"^```\{(?:raises|attempt|fix)\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for page in PAGES:
        for program in fences.findall(page.read_text("utf-8")):
            assert "import torch" in program, program
    assert len(entries) >= 40


def test_every_message_finds_itself(entries):
    """Pasting a whole message finds its entry first, or right behind one of the same words."""
    found = search([entry["message"] for entry in entries], entries)
    words = {entry["title"]: re.sub(r"[\W\d]+", " ", entry["message"]) for entry in entries}
    for entry, titles in zip(entries, found, strict=True):
        before = titles[: titles.index(entry["title"])]
        assert len(before) <= 1, (entry["title"], titles)
        assert all(words[title][:60] == words[entry["title"]][:60] for title in before)


@pytest.mark.parametrize(
    ("pasted", "title"),
    [
        (
            "RuntimeError: one of the variables needed for gradient computation has been modified "
            "by an inplace operation: [torch.cuda.HalfTensor [64, 512]], which is output 0 of "
            "ReluBackward0, is at version 7; expected version 3 instead.",
            "One of the variables needed was modified by an in-place operation",
        ),
        (
            'Traceback (most recent call last):\n  File "train.py", line 81, in <module>\n'
            "    loss.backward()\nRuntimeError: element 0 of tensors does not require grad",
            "Element 0 of tensors does not require grad",
        ),
        (
            'Traceback (most recent call last):\n  File "train.py", line 9, in <module>\n'
            "    net(torch.randn(5, 4)).sum().backward()\n"
            "RuntimeError: one of the variables needed for gradient computation has been modified "
            "by an inplace operation: [torch.FloatTensor [5, 4]], which is output 0 of Sigmoid, is "
            "at version 1; expected version 0 instead. Hint: enable anomaly detection to find the "
            "operation that failed to compute its gradient, with torch.autograd.set_detect_anomaly("
            "True, check_nan=False).",
            "One of the variables needed was modified by an in-place operation",
        ),
        (
            "train.py:7: UserWarning: The .grad attribute of a Tensor that is not a leaf Tensor is "
            "being accessed.\n  w.grad.zero_()\nTraceback (most recent call last):\n"
            '  File "train.py", line 7, in <module>\n    w.grad.zero_()\n    ^^^^^^^^^^^^\n'
            "AttributeError: 'NoneType' object has no attribute 'zero_'",
            None,
        ),
        (
            "AttributeError: 'NoneType' object has no attribute 'norm'",
            "The gradient is None, and something is done with it",
        ),
        ("does not require grad and does not have a grad_fn", None),
        ("second time retain_graph=True", "Trying to backward through the graph a second time"),
        (
            "Function LayerNormHelperBackward returned an invalid gradient at index 2 - got "
            "[8, 16] but expected shape compatible with [16, 8]",
            "A function returned an invalid gradient",
        ),
        ("Function 'LogSoftmaxBackward0' returned nan values in its 1th output", None),
        ("hook 'clip' has changed the size of value", "A hook has changed the size of value"),
        ("can't call numpy() on tensor that requires grad", None),
        ("deepcopy protocol graph leaves", "Only graph leaves support the deepcopy protocol"),
    ],
)
def test_as_people_paste_them(entries, pasted, title):
    """With other numbers, shapes and names, inside a traceback, or cut short, it is found first."""
    titles = search([pasted], entries)[0]
    assert titles, "nothing was found"
    if title is not None:
        assert titles[0] == title


def test_nonsense_finds_nothing(entries):
    """Words that no message has find no message, nor does an error that is not autograd's."""
    others = ["the quick brown fox", "", "12 34", "SyntaxError: unterminated string literal"]
    assert search(others, entries) == [[]] * len(others)
