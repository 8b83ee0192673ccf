"""Answers that a reader tries: what the build makes of a block, and what a page says to an input.

That a block with something wrong in it fails a build is shown in ``test_everything_wrong.py``.
"""

import base64
import itertools
import json
import subprocess
import types
from pathlib import Path

import pytest
import torch
from press.page import mathematics
from press.show import answers

SCRIPT = Path(__file__).resolve().parents[3] / "_static" / "answers.js"
CALL = """
const answers = require(process.argv[1]);
const requests = JSON.parse(require("fs").readFileSync(0, "utf8"));
const replies = requests.map(([name, ...given]) => answers[name](...given));
process.stdout.write(JSON.stringify(replies.map((reply) => reply === undefined ? null : reply)));
"""


def call(*requests: tuple) -> list:
    """What functions of ``answers.js`` return: each request is a name, then the arguments."""
    done = subprocess.run(
        [mathematics.program(), "-e", CALL, SCRIPT],
        input=json.dumps(requests),
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def question(right: object, wrong: dict | None = None) -> dict:
    return {
        "right": answers.answer(right),
        "wrong": [answers.answer(value) | {"say": say} for say, value in (wrong or {}).items()],
        "tolerance": answers.TOLERANCE,
    }


# --- The block ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2, {"value": 2, "exact": True}),
        (2.0, {"value": 2.0, "exact": False}),
        (True, {"value": True, "exact": True}),
        (None, {"value": None, "exact": True}),
        ("AddBackward0", {"value": "AddBackward0", "exact": True}),
        ((5, 3), {"value": [5, 3], "exact": True}),
        ((), {"value": [], "exact": True}),
        ([None, 1.5], {"value": [None, 1.5], "exact": False}),
        (torch.Size([5, 3]), {"value": [5, 3], "exact": True}),
        (torch.tensor(3.0, requires_grad=True), {"value": 3.0, "exact": False}),
        (torch.eye(2), {"value": [[1.0, 0.0], [0.0, 1.0]], "exact": False}),
        ((2, torch.tensor(6.0)), {"value": [2, 6.0], "exact": False}),
        (torch.ones(2).numpy(), {"value": [1.0, 1.0], "exact": False}),
        (torch.float64, {"value": "torch.float64", "exact": True}),
    ],
    ids=str,
)
def test_values_a_page_can_keep(value, kept):
    """Numbers, words, truth values, None, lists, shapes, dtypes and small tensors are answers."""
    assert answers.answer(value) == kept


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [1.0, float("inf")],
        1j,
        {1: 2},
        ...,
        "",
        " . ",
        torch.zeros(answers.MOST_VALUES + 1),
        [[1] * 9] * 9,
        [["a"], ["b"]],
        torch.zeros(2, dtype=torch.complex64),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_values_a_page_cannot_keep(value):
    """What nobody could type, and what equals nothing, is refused."""
    with pytest.raises(answers.Unusable):
        answers.answer(value)


def test_block_starts_from_a_known_state():
    """A block finds the seed, dtype and grad mode of a fresh process, and leaves them behind."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    source = "right = (torch.rand(()), torch.is_grad_enabled(), torch.ones(1).dtype)"
    first, _ = answers.compute(source)
    torch.manual_seed(8)
    change = "torch.set_grad_enabled(False)\ntorch.set_default_dtype(torch.float64)\n"
    answers.compute(change + "right = 1")
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert answers.compute(source)[0] == first
    assert first["value"][1:] == [True, "torch.float32"]


def test_blocks_share_no_names():
    """What one block defines, the next does not find."""
    answers.compute("step = 1\nright = step")
    with pytest.raises(answers.Unusable, match="NameError"):
        answers.compute("right = step")


def test_block_is_silent(capfd):
    """What a block prints and warns of stays out of the build's log."""
    answers.compute("import warnings\nprint('noise')\nwarnings.warn('noise')\nright = 1")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("right = 1\n\nassert right == 2", 3),
        ("def f():\n    raise ValueError\n\nright = f()", 4),
        ("import torch\nright = [float('nan')]", 2),
        ("right = 1\nwrong = {\n    'a': 2,\n    'b': 2,\n}", 4),
        ("right = 1\nwrong = dict(a=1)", 2),
        ("x = 1", None),
    ],
)
def test_line_of_what_is_wrong(source, line):
    """The line is that of the statement, or of the wrong answer, that has to be changed."""
    with pytest.raises(answers.Unusable) as caught:
        answers.compute(source)
    assert caught.value.line == line


def test_wrong_answers_are_kept_in_their_order():
    """The first wrong answer that fits is the one whose words are shown."""
    _, wrong = answers.compute("right = 6\nwrong = {'Half.': 3, 'Twice.': 12}")
    assert wrong == [
        ({"value": 3, "exact": True}, "Half."),
        ({"value": 12, "exact": True}, "Twice."),
    ]


VALUES = [0, 1, 2, 2.0, 2.001, 2.01, -2, 1000, 1001, 0.0, 1e-9, 1e6, "two", "Two.", True, None]
VALUES += [[], [2], [2.0], (1, 2), (2, 1), [1.0, 0.0], [1.0, 1e-7], [1.0, 0.01], [[1, 2]]]
VALUES += ["None", "2"]


def test_alike_is_symmetric():
    """Two answers are told apart in either order, and none from itself."""
    kept = [answers.answer(value) for value in VALUES]
    for one, other in itertools.combinations(kept, 2):
        assert answers.alike(one, other) == answers.alike(other, one), (one, other)
    assert all(answers.alike(one, one) for one in kept)


def test_the_page_tells_apart_what_the_build_does():
    """An input that the page takes for an answer is never one the build holds for another."""
    pairs = [
        (a, b)
        for a, b in itertools.permutations(VALUES, 2)
        if not answers.alike(answers.answer(a), answers.answer(b))
    ]
    said = call(*(("judge", _typed(a), question(b)) for a, b in pairs))
    taken = [pair for pair, reply in zip(pairs, said, strict=True) if reply["state"] == "right"]
    assert taken == []


def test_the_page_takes_every_answer_as_python_prints_it():
    """What Python prints for an answer is right for it."""
    said = call(*(("judge", _typed(value), question(value)) for value in VALUES))
    assert [reply["state"] for reply in said] == ["right"] * len(VALUES)


def _typed(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def test_both_sides_normalise_alike():
    """The build and the page hold the same words for the same."""
    texts = ["  'torch.Float64'. ", "A  B", "“MulBackward0”", "<x>", "ＡＢ", "a.torch.b", "torch"]
    assert call(*(("normal", text) for text in texts)) == [answers.normal(text) for text in texts]


# --- The form ---------------------------------------------------------------------------------


def test_form_hides_its_answer():
    """The page holds the answer, and nobody reads it in its source by accident."""
    node = answers.answer_node("", label="ex-a", number=0, wrong=[answers.answer(3.25)])
    node["right"] = answers.answer(1234.5)
    html = answers.form(node, "a <code>number</code>", ["<p>Only half.</p>"])
    assert "1234.5" not in html
    assert "3.25" not in html
    assert "half" not in html
    hidden = html.partition('data-answer="')[2].partition('"')[0]
    assert b"1234" not in base64.b64decode(hidden)
    (decoded,) = call(("decode", hidden))
    assert decoded["right"] == {"value": 1234.5, "exact": False}
    assert decoded["wrong"] == [{"value": 3.25, "exact": False, "say": "<p>Only half.</p>"}]


def test_form_needs_a_script():
    """Without JavaScript there is no form, and no page has a script in its text."""
    node = answers.answer_node("", label="ex-a", number=0, right=answers.answer(1), wrong=[])
    html = answers.form(node, "a number", [])
    assert " hidden" in html.partition(">")[0]
    assert "<script" not in html
    assert 'for="answer-ex-a-0-input"' in html
    assert 'aria-live="polite"' in html


def test_form_asks_for_what_its_words_need():
    """A formula in what is said needs its stylesheet, though nothing on the page shows one yet."""
    node = answers.answer_node("", label="ex-a", number=0, right=answers.answer(1), wrong=[])
    node["wrong"] = [answers.answer(2)]
    said = '<span class="katex">x</span>'
    assert 'class="katex' in answers.form(node, "a number", [said])
    assert 'class="katex' not in answers.form(node, "a number", ["<p>x</p>"])


def test_only_pages_with_a_form_load_the_script():
    """The script is asked for where there is a form."""
    from press.page import assets

    for body, kept in [('<form class="bp-answer" id="x">', True), ("<p>none</p>", False)]:
        script = types.SimpleNamespace(filename="_static/answers.js")
        context = {"body": body, "script_files": [script], "css_files": []}
        assets.drop_unused(None, "page", "", context, None)
        assert bool(context["script_files"]) is kept


# --- The page ---------------------------------------------------------------------------------

RIGHT = [
    ("[2, 1, 0]", [2.0, 1.0, 0.0]),
    ("2 1 0", [2.0, 1.0, 0.0]),
    ("2, 1, 0", [2.0, 1.0, 0.0]),
    ("2; 1; 0", [2.0, 1.0, 0.0]),
    ("tensor([2., 1., 0.])", [2.0, 1.0, 0.0]),
    ("tensor([2., 1.], dtype=torch.float64)", [2.0, 1.0]),
    ("tensor([2., 1.], grad_fn=<MulBackward0>)", [2.0, 1.0]),
    ("x.grad = [2, 1]", [2.0, 1.0]),
    ("[2 -1 0]", [2, -1, 0]),
    ("[ 1.5  -2. ]", [1.5, -2.0]),
    ("(5, 3)", (5, 3)),
    ("5 × 3", 15),
    ("torch.Size([5, 3])", (5, 3)),
    ("x.shape == (5, 3)", (5, 3)),
    ("(5,)", (5,)),
    ("[5]", (5,)),
    ("()", ()),
    ("torch.Size([])", ()),
    ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
    ("[[1. 2.]\n [3. 4.]]", [[1.0, 2.0], [3.0, 4.0]]),
    ("1e-3", 0.001),
    ("1E-3", 0.001),
    (".5", 0.5),
    ("+.5", 0.5),
    ("0.5.", 0.5),
    ("1/3", 1 / 3),
    ("0.3333", 1 / 3),
    ("½", 0.5),
    ("2**50", 2**50),
    ("2^50", 2**50),
    ("2⁵⁰", 2**50),
    ("10⁻³", 0.001),
    ("−2", -2),
    ("–2", -2),
    ("- 2", -2),
    ("2 - 1", 1),
    ("2-1", 1),
    ("-2**2", -4),
    ("(1 + 2) * 3", 9),
    ("1_000", 1000),
    ("1,346,269", 1346269),
    ("sqrt(2)", 2**0.5),
    ("math.exp(1)", 2.718281828),
    ("pi / 2", 1.5707963),
    ("tensor(6.)", 6.0),
    ("None", None),
    ("none.", None),
    ("[None, 1.0]", [None, 1.0]),
    ("True", True),
    ("yes", True),
    ("false", False),
    ("[True, False]", [True, False]),
    ("MulBackward0", "MulBackward0"),
    ("<mulbackward0>", "MulBackward0"),
    ("`torch.float64`", "float64"),
    ("float64", torch.float64),
    ("a, b", ["a", "b"]),
    ("['a', 'b']", ("a", "b")),
    ("a b", ["a", "b"]),
    ("a → b", ["a", "b"]),
    ("the trunk, the head", ["The trunk", "The head"]),
    # An answer in words, with what is counted.
    ("301 nodes", 301),
    ("301 nodes.", 301),
    ("three of them", 3),
    ("10 and 5", (10, 5)),
    ("10 products, and then 5", (10, 5)),
    ("ten and five", (10, 5)),
    ("f: 2, g: 1", (2, 1)),
    ("2 for f and 1 for g", (2, 1)),
    ("366,000", 366000),
    ("366,000 and 906,000", (366000, 906000)),
    ("366,000, 906,000", (366000, 906000)),
    ("2,500", (2, 500)),
    ("2 passes and 500", (2, 500)),
    ("2,500 operations", 2500),
    ("36 KiB", 36864),
    ("-3 and -3", (-3, -3)),
    ("1/3 and 1/6", (1 / 3, 1 / 6)),
    ("50 %", 0.5),
    # An order, however it is separated.
    ("loss, d, c", "loss d c"),
    ("loss -> d -> c", "loss d c"),
    # An equation, with other letters.
    ("bhqk,bhqd->bhkd", "bhqk,bhqd->bhkd"),
    ('"bhqk, bhqd -> bhkd"', "bhqk,bhqd->bhkd"),
    ("bhij,bhie->bhje", "bhqk,bhqd->bhkd"),
    ("...qk,...qd->...kd", "bhqk,bhqd->bhkd"),
    ("b...qk,b...qd->b...kd", "bhqk,bhqd->bhkd"),
    ('torch.einsum("xhqk,xhqd->xhkd", g, Q)', "bhqk,bhqd->bhkd"),
    ("BHqk,BHqd→BHkd", "bhqk,bhqd->bhkd"),
]
# What looks like one of them, and is none.
NOT_THE_SAME = [
    ("301 nodes", 302),
    ("not 301", 301),
    ("2x", 2),
    ("f(2)", 2),
    ("2 * x", 2),
    ("more than 301 nodes", 301),
    ("3 or 4", 3),
    ("3 and 4", 3),
    ("5 and 10", (10, 5)),
    ("10 and 5 and 1", (10, 5)),
    ("36 KiB", 36),
    ("2,500", (2500, 0)),
    ("366.000", 366000),
    ("bhqd,bhqk->bhkd", "bhqk,bhqd->bhkd"),
    ("bhqk,bhqd->bhdk", "bhqk,bhqd->bhkd"),
    ("...k,...d->...", "bhqk,bhqd->bhkd"),
    ("...hqk,...hqd->...kd", "bhqk,bhqd->bhkd"),
    ("bhqk,bhqd", "bhqk,bhqd->bhkd"),
    ("bbqk,bbqd->bbkd", "bhqk,bhqd->bhkd"),
]


def test_what_is_not_the_same():
    """A denial, a bound, another order, another unit or other indices are not taken for right."""
    said = call(*(("judge", text, question(value)) for text, value in NOT_THE_SAME))
    taken = [
        pair for pair, reply in zip(NOT_THE_SAME, said, strict=True) if reply["state"] == "right"
    ]
    assert taken == []


def test_equations_on_both_sides():
    """The build and the page tell the same equations apart."""
    equations = ["bhqk,bhqd->bhkd", "abcd,abce->abde", "bhqd,bhqk->bhkd", "bhqk,bhqd->bhdk", "ii->"]
    pairs = list(itertools.product(equations, repeat=2))
    said = call(*(("judge", a, question(b)) for a, b in pairs))
    page = [reply["state"] == "right" for reply in said]
    assert page == [answers.alike(answers.answer(a), answers.answer(b)) for a, b in pairs]
    assert page.count(True) == 9


def test_ways_to_write_it():
    """However it is written, what is right is taken to be right."""
    said = call(*(("judge", text, question(value)) for text, value in RIGHT))
    refused = [
        (text, value, reply["say"])
        for (text, value), reply in zip(RIGHT, said, strict=True)
        if reply["state"] != "right"
    ]
    assert refused == []


NOT_RIGHT = [
    # Not what is asked for: the form that is.
    ("", 2, "form", "Type your answer first."),
    ("many", 2, "form", "A number is asked for, such as 3"),
    ("None", 2, "form", "A number is asked for"),
    ("True", 2, "form", "A number is asked for"),
    ("@ # $", 2, "form", "A number is asked for"),
    ("2x", 2, "form", "One number is asked for"),
    ("1/0", 2, "form", "The answer is finite."),
    ("[2]", 2, "form", "One number is asked for, and that is a list."),
    ("0,5", 0.5, "form", "One number is asked for; write a decimal point"),
    ("(2", 2, "form", "A number is asked for"),
    ("(" * 400, 2, "form", "A number is asked for"),
    ("f(2)", 2, "form", "A number is asked for"),
    ("two", [1, 2], "form", "A list of numbers is asked for"),
    ("2", True, "form", "The answer is True or False."),
    ("two", [[1, 2], [3, 4]], "form", "A list of rows is asked for"),
    # A number.
    ("-2", 2.0, "wrong", "The sign is flipped."),
    ("4", 2.0, "wrong", "That is twice what it should be."),
    ("1", 2.0, "wrong", "That is half what it should be."),
    ("-6", 2.0, "wrong", "That is 3 times, with the opposite sign, what it should be."),
    ("0.3", 3.0, "wrong", "That is a tenth of what it should be."),
    ("0.4", 2.5, "wrong", "That is the reciprocal of what is asked for."),
    ("0.33", 1 / 3, "wrong", "Close, but not close enough"),
    ("300", 301, "wrong", "One too few."),
    ("302", 301, "wrong", "One too many."),
    ("1.126e15", 2**50, "wrong", "Close, but whole numbers are asked for exactly"),
    ("[0.08, -0.02, 0]", [0.0819, -0.0205, 0.0], "wrong", "Close, but not close enough"),
    ("[1.0e6, 2.01e6]", (1001000, 2001000), "wrong", "Close, but whole numbers are asked for"),
    ("7", 2.0, "wrong", "Not this."),
    ("7", 0.0, "wrong", "Not this."),
    # A list.
    ("2", [2.0, 1.0, 0.0], "wrong", "That is one of the numbers of the list; three are asked for."),
    ("7", [2.0, 1.0, 0.0], "wrong", "Not this."),
    ("5", (5,), "wrong", "The number is right; write it as a list of one, [5]."),
    ("1", (), "wrong", "An empty list is written []."),
    ("[3, 5]", (5, 3), "wrong", "The numbers are right, but in the reverse order."),
    ("2 3 1", (1, 2, 3), "wrong", "The numbers are right, but in another order."),
    ("2 3", (1, 2, 3), "wrong", "What you give belongs to it; one more is missing."),
    ("1 2 3 4", (1, 2, 3), "wrong", "All of it is there, and one number too many."),
    ("7 8", (1, 2, 3), "wrong", "Three numbers are asked for; you give two."),
    ("[]", (1, 2, 3), "wrong", "Three numbers are asked for; you give none."),
    ("-1 2 -3", (1, -2, 3), "wrong", "Every sign is flipped."),
    ("1 2 3", (1, -2, 3), "wrong", "The sizes are right, but not all signs are."),
    ("2 4 6", (1, 2, 3), "wrong", "Every number is twice what it should be."),
    ("2 0 6", (1, 0, 3), "wrong", "Every number is twice what it should be."),
    ("0.5 1.5", (1, 3), "wrong", "Every number is half what it should be."),
    ("1.5 4.5", (1, 3), "wrong", "Every number is 1.5 times what it should be."),
    ("1 7 3", (1, 2, 3), "wrong", "All but one of the three numbers are right; look at number 2."),
    ("1 1 2", (1, 2, 2), "wrong", "All but one of the three numbers are right; look at number 2."),
    ("1 7 8", (1, 2, 3), "wrong", "One of the three numbers is right."),
    ("7 8 9", (1, 2, 3), "wrong", "Not this."),
    (
        "[[1, 3], [2, 4]]",
        [[1, 2], [3, 4]],
        "wrong",
        "The numbers are right, but rows and columns are exchanged.",
    ),
    (
        "[1, 2, 3, 4]",
        [[1, 2], [3, 4]],
        "wrong",
        "The numbers are right; they are asked for in the shape (2, 2).",
    ),
    ("[[1], [9]]", [1, 2], "wrong", "A list of the shape (2,) is asked for."),
    # Words.
    ("MulBackward", "MulBackward0", "wrong", "Nearly; check how it is spelt."),
    ("AddBackward0", "ViewBackward0", "wrong", "Not this."),
    ("b a", ["a", "b"], "wrong", "The words are right, but in the reverse order."),
    ("a", ["a", "b"], "wrong", "What you give belongs to it; one more is missing."),
    ("None", True, "form", "The answer is True or False."),
    ("1", None, "wrong", "Not this."),
]


def test_what_is_said():
    """An answer that is not right gets the most helpful word that is true of it."""
    said = call(*(("judge", text, question(value)) for text, value, _, _ in NOT_RIGHT))
    differing = [
        (text, value, reply)
        for (text, value, state, word), reply in zip(NOT_RIGHT, said, strict=True)
        if reply["state"] != state or not reply["say"].startswith(word)
    ]
    assert differing == []


def test_the_authors_word_goes_before_the_general_one():
    """A wrong answer that the author foresaw gets the author's words, in any way to write it."""
    asked = question([2.0, 1.0], {"<p>Paths.</p>": [1.0, 2.0], "<p>No gradient.</p>": None})
    said = call(("judge", "(1., 2.)", asked), ("judge", "none", asked), ("judge", "-2 -1", asked))
    assert [reply.get("html") for reply in said] == ["<p>Paths.</p>", "<p>No gradient.</p>", None]
    assert [reply["state"] for reply in said] == ["wrong"] * 3


def test_no_input_raises():
    """Whatever is typed gets a reply; nothing of it is evaluated."""
    marks = ["(", ")", "[", "]", ",", "-", "*", "**", "/", "1", "e", "1e", ".", "=", "'", "π", "√"]
    texts = ["".join(parts) for parts in itertools.product(marks, repeat=3)]
    texts += ["1e999", "2**2**2**2**2", "[" * 399, "-" * 399, "process.exit(1)", "\0", "ﷺ", "💥"]
    texts += ["(" * 100_000, "-" * 100_000]  # deeper than a stack
    kinds = [2, [1.5, 2.0], [[1, 2], [3, 4]], "word", ["a", "b"], True, None, ()]
    requests = [("judge", text, question(kind)) for text in texts for kind in kinds]
    said = call(*requests)
    assert {reply["state"] for reply in said} <= {"right", "wrong", "form"}
    assert all(reply["say"] for reply in said)
