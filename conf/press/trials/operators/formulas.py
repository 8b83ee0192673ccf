r"""A formula that is shown is held to the rule it stands beside: it is read, and evaluated.

A small part of LaTeX is read, that of formulas for each element: fractions, powers, functions of a
number, conditions in brackets and cases in braces.  What stands left of the signs of equality names
the arguments, in the order in which the rule returns them.  A formula that says more than that,
with sums, matrices or words, is not read, and is counted as such.
"""

import argparse
import ast
import inspect
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import torch

from backwardpass import vjps
from press.trials.operators import cases

Value = torch.Tensor | float
Names = dict[str, Value]

TOKEN = re.compile(
    r"\\(?:mathrm|operatorname)\{(?P<word>\w+)\}|\\bar\s*(?:\{(?P<b1>[^}]+)\}|(?P<b2>\\?\w[a-z]*|\\[a-z]+))"
    r"|(?P<command>\\[a-zA-Z]+)|(?P<number>\d+(?:\.\d+)?)|(?P<sign>\\[{}]|[-+*/^()\[\]{}|<>=;_])"
    r"|(?P<letter>[a-zA-Z])"
)
# What only spaces or sizes what it stands before.
DECORATION = re.compile(
    r"\\(?:[,;:! ]|quad|qquad|[Bb]igg?[lr]?(?![a-z])|left|right|textstyle|displaystyle)"
)
GREEK = {
    r"\alpha": "alpha", r"\beta": "beta", r"\lambda": "lambda", r"\tau": "tau", r"\ell": "ell",
    r"\epsilon": "eps", r"\delta": "delta", r"\mu": "mu", r"\gamma": "gamma", r"\varepsilon": "eps",
}  # fmt: skip
# What a letter of a formula is called among a function's arguments, where nothing else says it.
ARGUMENTS = {
    "alpha": ("alpha",), "beta": ("beta",), "lambda": ("lambd", "lambda"), "tau": ("threshold",),
    "ell": ("min_val", "min"), "u": ("max_val", "max"), "v": ("value",), "a": ("negative_slope",),
    "p": ("p", "exponent"), "eps": ("eps",), "delta": ("delta",), "w": ("weight",), "n": ("n",),
    "c": ("condition",), "m": ("mask",),
}  # fmt: skip


def _sigmoid(x: Value) -> Value:
    return torch.sigmoid(torch.as_tensor(x))


FUNCTIONS: dict[str, Callable] = {
    **{rf"\{n}": getattr(torch, n) for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp")},
    r"\log": torch.log, r"\ln": torch.log, r"\sigma": _sigmoid,
    r"\arctan": torch.atan, r"\Phi": torch.special.ndtr, r"\sec": lambda x: 1 / torch.cos(x),
    r"\varphi": lambda x: torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    r"\psi": torch.digamma, r"\Gamma": lambda x: torch.exp(torch.lgamma(x)),
    "sgn": torch.sgn, "sign": torch.sign, "trunc": torch.trunc, "Re": torch.real,
    "erf": torch.erf, "erfc": torch.erfc, "erfcx": torch.special.erfcx, "sinc": torch.sinc,
    "I_0": torch.special.i0, "I_1": torch.special.i1,
}  # fmt: skip
RELATIONS = {
    "<": torch.lt, ">": torch.gt, r"\le": torch.le, r"\ge": torch.ge, "=": torch.eq,
    r"\ne": torch.ne, r"\neq": torch.ne, r"\leq": torch.le, r"\geq": torch.ge,
}  # fmt: skip


# A formula and its rule differ by rounding only.
PRECISE = 1e-7
# What a condition says in a word.
WORDS = {"or": r"\lor", "is NaN": r"\isnan", "finite": r"\isfinite"}
PROPERTIES = {r"\isnan": torch.isnan, r"\isfinite": torch.isfinite}
# What a product ends before.
ENDS = (r"\lor", *PROPERTIES, "", "+", "-", ")", "]", "}", r"\}", "|", ";", r"\rfloor")


class Unread(Exception):
    """The formula says something that is not read."""


def tokens(latex: str) -> list[str]:
    r"""The parts of a formula that mean something.

    >>> tokens(r"\tfrac16 \bar y\,[-3 < x]")
    ['\\frac', '1', '6', 'bar y', '[', '-', '3', '<', 'x', ']']
    """
    latex = latex.replace(r"\tfrac", r"\frac").replace(r"\dfrac", r"\frac").replace("~", " ")
    for word, command in WORDS.items():
        latex = latex.replace(rf"\text{{{word}}}", f"{command} ")
    latex = latex.replace("I_0", r"\mathrm{I_0}").replace("I_1", r"\mathrm{I_1}")
    latex = DECORATION.sub(" ", latex)
    found, place = [], 0
    while place < len(latex):
        if latex[place].isspace():
            place += 1
            continue
        match = TOKEN.match(latex, place)
        if match is None:
            raise Unread(latex[place])
        place = match.end()
        bar = match["b1"] or match["b2"]
        if bar:
            found.append(f"bar {GREEK.get(bar, bar)}")
        elif match["number"] and found and found[-1] == r"\frac" and len(match["number"]) == 2:
            found += match["number"]
        else:
            found.append(match["word"] or match.group())
    return found


class Reader:
    """Reads one expression and evaluates it, as far as ``names`` are known."""

    def __init__(self, latex: str, names: Names):
        self.tokens = tokens(latex)
        self.names = names
        self.place = 0

    def all(self) -> Value:
        """The value of the whole expression."""
        value = self.sum()
        if self.place < len(self.tokens):
            raise Unread(self.tokens[self.place])
        return value

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if not token or (wanted is not None and token != wanted):
            raise Unread(f"{token or 'the end'} for {wanted or 'more'}")
        self.place += 1
        return token

    def sum(self) -> Value:
        value: Value | None = None
        while True:
            sign = -1 if self.peek() == "-" else 1
            if self.peek() in ("+", "-"):
                self.take()
            term = self.product()
            term = -term if sign < 0 else term
            value = term if value is None else value + term
            if self.peek() not in ("+", "-"):
                return value

    def product(self) -> Value:
        value = self.power()
        while self.peek() not in (*ENDS, *RELATIONS):
            if self.peek() == "/":
                self.take()
                value = value / self.power()
            else:
                if self.peek() == r"\odot":
                    self.take()
                value = value * self.power()
        return value

    def power(self) -> Value:
        value = self.base()
        while self.peek() == "^":
            self.take()
            if self.peek() == "*":
                self.take()
                value = torch.conj(torch.as_tensor(value))
            else:
                value = torch.as_tensor(value, dtype=torch.float64) ** self.argument()
        return value

    def argument(self) -> Value:
        """What stands in braces, or the one sign after a command."""
        if self.peek() == "{":
            self.take()
            value = self.sum()
            self.take("}")
            return value
        return self.base()

    def base(self) -> Value:
        token = self.take()
        if token in self.names:
            return self.names[token]
        if token[0].isdigit():
            return float(token)
        closing = {"(": ")", "{": "}", "|": "|", r"\lfloor": r"\rfloor"}.get(token)
        if closing:
            value = self.sum()
            self.take(closing)
            value = abs(value) if token == "|" else value
            return torch.floor(torch.as_tensor(value)) if token == r"\lfloor" else value
        if token == "[":
            value = self.condition("]")
            return value.double()
        if token == r"\{":
            return self.cases()
        if token == r"\frac":
            above = self.argument()
            return above / self.argument()
        if token == r"\sqrt":
            return torch.sqrt(torch.as_tensor(self.argument(), dtype=torch.float64))
        if token == r"\pi":
            return math.pi
        if token == "e":
            return math.e
        if GREEK.get(token) in self.names:
            return self.names[GREEK[token]]
        if token in FUNCTIONS:
            return self.call(FUNCTIONS[token])
        raise Unread(token)

    def call(self, function: Callable) -> Value:
        """A function of a number, maybe to a power: ``\\tanh^2 x``."""
        power: Value = 1
        if self.peek() == "^" and function is torch.digamma:
            raise Unread("a derivative of psi")
        if self.peek() == "^":
            self.take()
            power = self.argument()
        parenthesis = self.peek() == "("
        argument = self.power()
        while not parenthesis and self.continues():
            argument = argument * self.power()
        value = function(torch.as_tensor(argument, dtype=torch.float64))
        return value if power == 1 else value**power

    def continues(self) -> bool:
        """Whether what follows still belongs to the argument: ``\\sin \\pi x``."""
        token = self.peek()
        if token in (*ENDS, *RELATIONS, "/", "(", "[", "{", r"\odot", r"\{") or token in FUNCTIONS:
            return False
        return not token.startswith("bar ")

    def condition(self, closing: str) -> torch.Tensor:
        """What stands in brackets: relations in a row, a word, or one of several."""
        holds = self.clause()
        while self.peek() == r"\lor":
            self.take()
            holds = holds | self.clause()
        self.take(closing)
        return holds

    def clause(self) -> torch.Tensor:
        if self.peek() == r"\neg":
            self.take()
            return ~self.clause()
        left, holds = torch.as_tensor(self.sum()), None
        if self.peek() in PROPERTIES:
            return PROPERTIES[self.take()](left)
        while self.peek() in RELATIONS:
            relation = RELATIONS[self.take()]
            right = torch.as_tensor(self.sum())
            here = relation(left, right)
            holds = here if holds is None else holds & here
            left = right
        if holds is None and left.dtype == torch.bool:
            return left
        if holds is None:
            raise Unread("a condition without a relation")
        return holds

    def cases(self) -> Value:
        """``{value (condition); value (condition)}``: the first that holds."""
        found: list[tuple[Value, torch.Tensor]] = []
        while True:
            value = self.one_case()
            self.take("(")
            found.append((value, self.condition(")")))
            if self.take() == r"\}":
                break
        result: Value = math.nan
        for value, holds in reversed(found):
            result = torch.where(holds, value, result)
        return result

    def one_case(self) -> Value:
        """A value up to the parenthesis that has a relation in it."""
        depth, last = 0, None
        for place in range(self.place, len(self.tokens)):
            token = self.tokens[place]
            if token in (";", r"\}") and depth == 0:
                break
            if token == "(":
                last, depth = (place if depth == 0 else last), depth + 1
            elif token == ")":
                depth -= 1
        if last is None:
            raise Unread("a case without a condition")
        part = Reader("", self.names)
        part.tokens = self.tokens[self.place : last]
        self.place = last
        return part.all()


def parts(latex: str) -> list[tuple[str, str]]:
    r"""What is on the left, and what on the right, of each equation of a formula.

    >>> parts(r"\bar x = \bar y, \qquad \bar z = -\bar y")
    [('\\bar x', '\\bar y'), ('\\bar z', '-\\bar y')]
    """
    latex = re.sub(r"^.*?:\s*\\quad", "", latex)  # what the function itself is
    found = []
    for part in re.split(r",\s*\\q?quad|,\s*\\quad", latex):
        part = part.strip().strip(",")
        if re.search(r"\\text\{\(complex\)\}", part):
            continue
        part = re.sub(r"\\?\s*\\text\{\(real\)\}", "", part).strip().rstrip("\\").strip()
        left, equals, right = part.partition("=")
        if not equals:
            raise Unread(part)
        found.append((left.strip(), right.strip()))
    return found


def evaluate(latex: str, names: Names) -> dict[str, Value]:
    """The value of each argument's gradient, by its letter."""
    equations = parts(latex)
    names = dict(names)
    for left, right in equations:
        if not left.startswith(r"\bar"):  # a short name for a part of the others
            names[GREEK.get(left, left)] = names[left] = Reader(right, names).all()
    found: dict[str, Value] = {}
    for left, right in equations:
        if left.startswith(r"\bar"):
            token = tokens(left)[0]
            value = Reader(right, names | {f"bar {k}": v for k, v in found.items()}).all()
            found[token.removeprefix("bar ")] = value
    return found


def letters(latex: str) -> list[str]:
    """The letters of the arguments whose gradients a formula gives, in its order."""
    found = [tokens(left) for left, _ in parts(latex) if left.startswith(r"\bar")]
    if any(len(left) != 1 for left in found):
        raise Unread("an index")
    return list(dict.fromkeys(token.removeprefix("bar ") for (token,) in found))


def tried(rule: vjps.Rule, most: int = 8) -> Iterator[tuple[str, float]]:
    """Each argument a formula gives the gradient of, and by how much it differs from the rule's.

    Raises
    ------
    Unread
        The formula says what is not read here.
    """
    for entry in rule.entries[:1]:
        for case in list(cases.samples(entry, torch.float64))[:most]:
            yield from _differences(rule, entry, case)


def _differences(rule: vjps.Rule, entry: str, case: cases.Case) -> Iterator[tuple[str, float]]:
    with torch.no_grad():
        y = cases.function(entry)(*case.args, **case.kwargs)
    if not isinstance(y, torch.Tensor) or not y.is_floating_point() or y.numel() == 0:
        return
    y = y.detach()
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    given = cases.bound(rule.gradient, case.args, case.kwargs)
    given.apply_defaults()
    arguments = {
        name: value.detach() if isinstance(value, torch.Tensor) else value
        for name, value in list(given.arguments.items())[2:]
    }
    shapes = [v.shape for v in arguments.values() if isinstance(v, torch.Tensor)]
    try:
        by_element = torch.broadcast_shapes(*shapes) == y.shape
        returned = rule.gradient(g, y, *case.args, **case.kwargs)
    except (vjps.Declined, RuntimeError):
        return
    usual = inspect.signature(rule.gradient).parameters
    if not by_element or any(
        isinstance(value, str | bool) and value != usual[name].default
        for name, value in arguments.items()
    ):
        return  # another shape, or another function by an option
    wanted = {
        name: value
        for name, value in returned.items()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    }
    names: Names = {"y": y, "bar y": g}
    order = letters(rule.latex)
    if set(order) == {"x", "z"}:
        order = ["x", "z"]  # the first argument and the second, whichever is told first
    pairs = _pairs(order, list(returned))
    for letter, name in pairs:
        names[letter] = arguments.get(name)
    names.setdefault("x", next(iter(arguments.values()), None))
    for letter, possible in ARGUMENTS.items():
        known = next((arguments[name] for name in possible if name in arguments), None)
        if letter not in names and known is not None:
            names[letter] = known
    names = {letter: value for letter, value in names.items()
             if isinstance(value, torch.Tensor | float | int)}  # fmt: skip
    if "ell" in names or "u" in names:  # a bound that is not given is none
        names = {"ell": -math.inf, "u": math.inf, **names}
    found = evaluate(rule.latex, names)
    for letter, name in pairs:
        if name not in wanted or letter not in found:
            continue
        said = torch.as_tensor(found[letter], dtype=torch.float64).detach()
        rule_says = wanted[name].detach()
        said = said.expand(torch.broadcast_shapes(said.shape, y.shape)).sum_to_size(rule_says.shape)
        both = said.isfinite() & rule_says.isfinite()
        scale = 1 + rule_says[both].abs().max().item() if both.any() else 1
        yield letter, (said - rule_says)[both].abs().max().item() / scale if both.any() else 0.0


def _pairs(order: list[str], returned: list[str]) -> list[tuple[str, str]]:
    """Each letter with the argument it stands for: by its name, or by its place.

    >>> _pairs(["x", "ell", "u"], ["input", "max", "min"])
    [('ell', 'min'), ('u', 'max'), ('x', 'input')]
    """
    named = [
        (letter, name) for letter in order for name in ARGUMENTS.get(letter, ()) if name in returned
    ]
    letters_left = [letter for letter in order if letter not in dict(named)]
    names_left = [name for name in returned if name not in dict(named).values()]
    return [*named, *zip(letters_left, names_left, strict=False)]


def reads_result(rule: vjps.Rule) -> bool:
    """Whether a rule's code uses the values of the function's result, and not its form alone."""
    function = ast.parse(dedent(inspect.getsource(rule.gradient))).body[0]
    result = function.args.args[1].arg
    form = {"shape", "dtype", "ndim", "device", "size", "dim", "numel", "is_complex", "new_zeros",
            "new_ones", "layout"}  # fmt: skip
    asked = {id(node.value) for node in ast.walk(function)
             if isinstance(node, ast.Attribute) and node.attr in form}  # fmt: skip
    return any(
        isinstance(node, ast.Name) and node.id == result and id(node) not in asked
        for statement in function.body
        for node in ast.walk(statement)
    )


def failures(families: set[str]) -> tuple[list[list[str]], dict[str, str]]:
    """What differs, and why formulas are not read, by rule.

    A failure is the rule, and a sentence.
    """
    wrong, unread = [], {}
    for name, rule in vjps.RULES.items():
        if rule.family not in families:
            continue
        try:
            worst: dict[str, float] = {}
            for letter, error in tried(rule):
                worst[letter] = max(error, worst.get(letter, 0.0))
        except (Unread, RuntimeError) as why:  # RuntimeError: for complex numbers only
            unread[name] = str(why)
            continue
        if not worst:
            unread[name] = "not of each element alone"
        for letter, error in worst.items():
            if not error < PRECISE:
                said = f"its formula gives another gradient of {letter}, off by {error:.3g}"
                wrong.append([name, said])
        own = list(inspect.signature(rule.gradient).parameters)[2:]  # behind g and y
        if not reads_result(rule) and re.search(r"(?<!\w)y(?!\w)", rule.saved) and "y" not in own:
            wrong.append([name, f'says that it reads "{rule.saved}", and its code reads no y'])
    return wrong, unread


def main() -> int:
    """Hold formulas to rules; the results go to a file, or their counts are printed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--families", default=",".join(vjps.FAMILIES))
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = set(options.families.split(","))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong, unread = failures(chosen)
    if options.store:
        options.store.write_text(json.dumps({"wrong": wrong, "unread": unread}), "utf-8")
        return 0
    rules = [name for name, rule in vjps.RULES.items() if rule.family in chosen]
    print(f"{len(rules) - len(unread)} of {len(rules)} formulas were evaluated")
    for name, why in unread.items():
        print(f"    not read: {name}: {why}")
    for name, said in wrong:
        print(f"FAILED {name}: {said}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
