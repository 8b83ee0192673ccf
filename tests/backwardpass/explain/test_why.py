"""Why a gradient is missing: what each tier says, word for word, and what it leaves open."""

import gc
import re
import threading
import weakref

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils.checkpoint import checkpoint

import backwardpass
from backwardpass import Answer, Place, why_no_grad


def leaf(*shape: int) -> torch.Tensor:
    size = torch.Size(shape).numel()
    return torch.linspace(0.1, 1.0, size, dtype=torch.float64).reshape(shape).requires_grad_()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("w", leaf(2)),
            "why_no_grad() needs a Tensor for tensor;\n"
            "got an object of type str.\n"
            "Pass the tensor whose gradient is missed.",
        ),
        (
            (leaf(2), 3.0),
            "why_no_grad() needs a Tensor for loss;\n"
            "got an object of type float.\n"
            "Pass the tensor that backward() was called on.",
        ),
    ],
)
def test_wrong_arguments_are_explained(arguments, message):
    """What is no tensor raises, and the message says what to pass."""
    with pytest.raises(TypeError) as raised:
        why_no_grad(*arguments)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("keyword", "wanted", "what"),
    [
        ("recording", "Recording", "Pass what backwardpass.record() gave."),
        ("watched", "Watch", "Pass what backwardpass.watch() gave."),
    ],
)
def test_wrong_observations_are_explained(keyword, wanted, what):
    """A recording of passes is no watch, and the other way round."""
    other = backwardpass.watch() if keyword == "recording" else backwardpass.record()
    with pytest.raises(TypeError) as raised:
        why_no_grad(leaf(2), leaf(2).sum(), **{keyword: other})
    assert str(raised.value) == (
        f"why_no_grad() needs a {wanted} for {keyword};\n"
        f"got an object of type {type(other).__name__}.\n{what}"
    )


def test_a_gradient_that_is_there():
    """Nothing is explained away."""
    w = leaf(2)
    loss = (w * 3).sum()
    loss.backward()
    answer = why_no_grad(w, loss)
    assert str(answer) == "has a gradient: It has a gradient of shape (2,) and norm 4.24."
    kept = (w * 2).exp()
    kept.retain_grad()
    kept.sum().backward()
    assert why_no_grad(kept, kept.sum()).cause == "has a gradient"


def test_not_a_leaf():
    """A result that was not asked to keep its gradient; asking is no use of the tensor."""
    w = leaf(2)
    h = w * 3
    loss = h.sum()
    loss.backward()
    assert str(why_no_grad(h, loss)).splitlines() == [
        "not a leaf: It is no leaf: MulBackward0 made it, and it was not asked to retain its",
        "  gradient.",
        "  seen: the backward pass from the loss goes through it",
        "  to change: If its gradient is wanted, call retain_grad() on it before the backward",
        "    pass. If it is meant to be a parameter, compute its value first and let the",
        "    result require a gradient: requires_grad_(), or torch.nn.Parameter.",
    ]


def test_integers_and_inference_tensors():
    """What can never require a gradient is told from what does not."""
    loss = leaf(2).sum()
    assert why_no_grad(torch.arange(3), loss).because == (
        "Its dtype is int64, which cannot require a gradient."
    )
    with torch.inference_mode():
        made = torch.ones(2)
    assert why_no_grad(made, loss).because == "It was made in torch.inference_mode()."


def test_does_not_require_grad():
    """The graph cannot know why, lists what can be, and says what to run."""
    x = torch.ones(2)
    answer = why_no_grad(x, (leaf(2) * x).sum())
    assert answer.cause == "does not require grad"
    assert answer.because == (
        "It does not require a gradient. Nobody asked for one (requires_grad=True), or it was "
        "computed from tensors that require none, under torch.no_grad(), or through detach(), "
        ".data, NumPy, .item() or torch.tensor(), or it was frozen with requires_grad_(False)."
    )
    assert answer.next.startswith("the forward pass inside «with backwardpass.watch()")


def test_a_detached_twin_is_known_by_its_memory():
    """From the graph alone: the loss reaches a leaf with the very memory of the tensor."""
    w = leaf(4)
    twin = w.detach()[1:]
    (fact,) = why_no_grad(twin, w.exp().sum()).seen
    assert fact.startswith("the loss reaches another tensor that has the same memory")
    own = twin.clone().requires_grad_()
    assert why_no_grad(own.detach(), w.exp().sum()).seen == ()


def test_loss_without_a_graph():
    """Where the loss itself requires no gradient the tensor is not to blame."""
    w = leaf(2)
    with torch.no_grad():
        loss = w.exp().sum()
    answer = why_no_grad(w, loss)
    assert answer.cause == "loss without a graph"
    assert answer.because == (
        "The loss requires no gradient itself: it was computed from tensors that require no "
        "gradient, or where recording was off. Its backward() raises."
    )


def test_not_reached():
    """The leaves that are reached are listed, and what the tensor has to do with them."""
    w, other = leaf(2), leaf(3)
    assert why_no_grad(w, other.sum(), names={"other": other}).seen == (
        "the loss reaches 1 leaf: other (3,)",
    )
    made = other * 2
    assert why_no_grad(made, other.sum()).seen == (
        "the loss reaches 1 leaf: one of shape (3,)",
        "this tensor was itself computed from 1 of these leaves: the loss was computed from the "
        "leaf and not from it",
    )
    again = other.detach().requires_grad_()
    assert why_no_grad(again, other.sum()).seen[1:] == (
        "one of them has the same memory, and is another tensor",
    )
    many = [leaf(2) for _ in range(8)]
    (fact,) = why_no_grad(w, torch.stack(many).sum()).seen
    assert fact.endswith("one of shape (2,), and 2 more")


def test_one_of_several_outputs_is_told_from_the_others():
    """The loss reaches the node of all rows, and this row's gradient does not arrive."""
    first, second = leaf(2, 3).unbind(0)
    second.retain_grad()
    assert why_no_grad(second, first.sum()).cause == "not reached"
    first.retain_grad()
    assert why_no_grad(first, first.sum()).cause == "unknown"


@pytest.mark.needs("saved tensors")
def test_the_graph_alone_does_not_guess():
    """Reached, and no gradient: what was freed is a fact, the cause stays open."""
    w = leaf(2)
    loss = w.exp().sum()
    answer = why_no_grad(w, loss)
    assert (answer.cause, answer.seen) == (
        "unknown",
        ("no backward pass has freed anything of this graph",),
    )
    loss.backward()
    w.grad = None
    answer = why_no_grad(w, loss)
    assert (answer.cause, answer.change) == ("unknown", "")
    assert answer.seen == ("a backward pass has run over this graph and freed what it had saved",)
    assert "backwardpass.record()" in answer.next


def test_of_several_passes_the_one_that_wrote_counts():
    """A pass that returned gradients after one that wrote does not hide the clearing."""
    w = leaf(2)
    loss = w.exp().sum()
    with backwardpass.record() as recording:
        loss.backward(retain_graph=True)
        w.grad = None
        torch.autograd.grad(loss, w)
    answer = why_no_grad(w, loss, recording=recording)
    assert answer.cause == "cleared"
    assert "record(values=True)" in answer.next


def test_a_pass_of_the_step_before_is_no_pass_of_this_loss():
    """Leaves are shared by all steps, and what an earlier step cleared explains nothing."""
    w = leaf(2)
    with backwardpass.record() as recording:
        w.exp().sum().backward()
        w.grad = None
        loss = w.exp().sum()
    answer = why_no_grad(w, loss, recording=recording)
    assert (answer.cause, answer.because) == (
        "other loss",
        "1 recorded pass ran, none of them from this loss or through it.",
    )


def test_a_loss_that_is_part_of_a_sum():
    """A pass from a sum of losses is a pass through each of them."""
    w = leaf(2)
    loss, other = w.exp().sum(), leaf(3).sum()
    with backwardpass.record() as recording:
        (loss / 4 + other).backward()
    w.grad = None
    assert why_no_grad(w, loss, recording=recording).cause == "cleared"


@pytest.mark.needs("saved tensors")
def test_a_pass_outside_of_the_recorded_block():
    """An empty recording does not say that no pass has run at all."""
    w = leaf(2)
    loss = w.exp().sum()
    with backwardpass.record() as recording:
        pass
    first = why_no_grad(w, loss, recording=recording)
    assert (first.cause, first.seen) == ("backward not run", ())
    loss.backward()
    w.grad = None
    second = why_no_grad(w, loss, recording=recording)
    assert second.seen == ("a pass outside of the block has freed this graph",)
    assert "record()" in second.next


def test_none_is_followed_to_where_it_began():
    """Between the function that gave None and the leaf there may be operations."""

    class Gives(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, u):
            return None

    w = leaf(2)
    loss = Gives.apply(w.exp() * 3).sum()
    with backwardpass.record() as recording:
        loss.backward()
    answer = why_no_grad(w, loss, recording=recording)
    assert answer.cause == "function returned None"
    assert answer.because.startswith("The backward() of Gives, a torch.autograd.Function")
    assert answer.places[0].source == "def backward(ctx, u):"


def test_a_retained_gradient_is_asked_for_too():
    """An intermediate that retains is judged like a leaf."""
    w = leaf(2)
    h = w.exp()
    h.retain_grad()
    loss = h.sum()
    with backwardpass.record() as recording:
        loss.backward()
    h.grad = None
    assert why_no_grad(h, loss, recording=recording).cause == "cleared"


def ask(work, names="w"):
    """Watch some work that returns a tensor and a loss, and ask."""
    with backwardpass.watch() as watched:
        tensor, loss = work()
    return why_no_grad(tensor, loss, watched=watched)


def test_of_several_cuts_all_lines_are_given():
    """Each path is cut by itself; mask and shape are not blamed where a detach is there."""

    def work():
        w = leaf(3)
        kept = w.detach() * (w > 0.5)
        again = w.detach()
        return w, (kept + again + torch.zeros_like(w) + leaf(3)).sum()

    answer = ask(work)
    assert answer.cause == "detached"
    assert [place.source for place in answer.places] == [
        "kept = w.detach() * (w > 0.5)",
        "again = w.detach()",
    ]


def test_many_lines_are_counted():
    """No more than three lines are shown."""

    def work():
        w = leaf(3)
        a = w.detach()
        b = w.detach()
        c = w.detach()
        d = w.detach()
        return w, (a + b + c + d + leaf(3)).sum()

    answer = ask(work)
    assert len(answer.places) == 3
    assert answer.seen == ("1 more line of the same kind",)


def test_one_good_path_is_enough():
    """A tensor that arrives on one path is not accused because of another."""

    def work():
        w = leaf(3)
        return w, (w.detach() * w).sum()

    assert ask(work).cause == "unknown"


@pytest.mark.parametrize(
    ("cut", "cause"),
    [
        (lambda h: h.data, "detached"),
        (lambda h: h.clone().detach_(), "detached"),
        (lambda h: h.round().long().double(), "no derivative"),
        (lambda h: (h > 0).double(), "no derivative"),
        (lambda h: torch.tensor([[*h]], dtype=torch.float64), "copied"),
        (lambda h: torch.full((3,), h.sum().item(), dtype=torch.float64), "left PyTorch"),
        (lambda h: torch.tensor(h.tolist(), dtype=torch.float64), "left PyTorch"),
        (lambda h: nn.Parameter(h), "new leaf"),
        (lambda h: h.detach().requires_grad_(), "detached"),
        (torch.no_grad()(lambda h: h * 1), "recording was off"),
        (torch.inference_mode()(lambda h: h.clone()), "recording was off"),
        (lambda h: nn.functional.one_hot(h.argmax(), 3).double(), "no derivative"),
    ],
)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True:UserWarning")
def test_every_way_to_lose_a_gradient_is_told_apart(cut, cause):
    """The cut is found between other operations, with its line."""

    def work():
        w, other = leaf(3), leaf(3).sum()
        h = (w * 2).sin()
        value = cut(h)
        if value.is_inference():
            value = value.clone()
        return w, (value * 3).exp().sum() + other

    answer = ask(work)
    assert answer.cause == cause, str(answer)
    assert answer.places[0].filename == __file__
    made_before = "h = (w * 2)" if cause == "new leaf" else "lambda"
    assert made_before in answer.places[0].source


def test_an_assignment_into_a_tensor_is_a_link():
    """What is written into another tensor is followed."""

    def work():
        w, whole = leaf(3), torch.zeros(5, dtype=torch.float64)
        whole[1:4] = w
        return w, (whole.detach() * leaf(5)).sum()

    answer = ask(work)
    assert (answer.cause, answer.places[0].function) == ("detached", "work")


def test_a_function_links_what_it_was_given():
    """Operations inside forward() are not recorded, and cut nothing for the arguments."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x * 1) * x

        @staticmethod
        def backward(ctx, u):
            return 2 * u * ctx.saved_tensors[0]

    def work(cut):
        w = leaf(3)
        y = Square.apply(w)
        z = y.detach() if cut else y
        return w, (z * leaf(3)).sum()

    assert ask(lambda: work(False)).cause == "unknown"
    answer = ask(lambda: work(True))
    assert answer.cause == "detached"
    assert answer.places[0].source == "z = y.detach() if cut else y"


def test_a_name_in_a_function():
    """Inside a function a name is known by the line that made the leaf, and by no other."""

    def work(seen):
        w = torch.ones(3, dtype=torch.float64, requires_grad=True) if seen else leaf(3)
        w = w * 0.5
        return w, (w * 2).sum()

    assert ask(lambda: work(True)).cause == "bound to another tensor"
    assert ask(lambda: work(False)).cause == "not a leaf"

    def given(w):
        w = w * 0.5
        return w, (w * 2).sum()

    made = leaf(3)
    assert ask(lambda: given(made)).cause == "not a leaf"


def test_recording_off_before_the_block():
    """Where the mode was entered before the watch began, that is said."""
    w, other = leaf(3), leaf(3)
    with torch.no_grad(), backwardpass.watch() as watched:
        h = w * 2
    with watched:  # it goes on with its notes
        loss = (h + other).sum()
    answer = why_no_grad(w, loss, watched=watched)
    assert answer.cause == "recording was off"
    assert answer.seen == ("recording was off already when the watched block began",)


def test_where_recording_was_switched_off():
    """The with statement is named beside the line that ran inside it."""

    def work():
        w = leaf(3)
        with torch.no_grad():
            h = w * 2
        return w, (h * leaf(3)).sum()

    answer = ask(work)
    assert answer.places[0].source == "h = w * 2"
    assert re.fullmatch(
        r"recording was switched off at .*test_why.py:\d+, in work: with torch.no_grad\(\):",
        answer.seen[0],
    )


def test_a_loss_from_outside_the_block():
    """What was computed elsewhere is not judged."""
    w = leaf(3)
    loss = w.detach().sum() + leaf(2).sum()
    with backwardpass.watch() as watched:
        _ = w * 2
    answer = why_no_grad(w, loss, watched=watched)
    assert answer.cause == "unknown"
    assert answer.because == "The loss was not computed inside the watched block."


def test_an_intermediate_is_not_taken_for_a_rebound_leaf():
    """A name given again to a result is no lost parameter, though a weight stands in the line."""

    def work():
        x, W = torch.ones(2, 3, dtype=torch.float64), leaf(3, 3)
        x = x @ W
        x = x.tanh()
        return x, x.sum()

    assert ask(work).cause == "not a leaf"


def test_an_attribute_bound_to_a_new_tensor():
    """A leaf kept as an attribute is replaced by a result."""

    class Model:
        def __init__(self):
            self.w = torch.ones(3, dtype=torch.float64, requires_grad=True)

        def scale(self):
            self.w = self.w * 0.5
            return (self.w * leaf(3)).sum()

    def work():
        model = Model()
        loss = model.scale()
        return model.w, loss

    answer = ask(work)
    assert (answer.cause, answer.places[0].source) == (
        "bound to another tensor",
        "self.w = self.w * 0.5",
    )


def test_a_tensor_that_lost_its_gradient_is_asked_about_itself():
    """Not only leaves: where a result stopped requiring a gradient is found among what made it."""

    def work():
        w = leaf(3)
        h = w.detach()
        z = (h * 2).exp()
        return z, (z * leaf(3)).sum()

    answer = ask(work)
    assert (answer.cause, answer.places[0].source) == ("detached", "h = w.detach()")


def test_a_tensor_that_never_required_one():
    """No line is made up where none was seen to take a gradient away."""

    def work():
        x = torch.ones(3, dtype=torch.float64)
        return x, (x * leaf(3)).sum()

    answer = ask(work)
    assert (answer.cause, answer.places) == ("does not require grad", ())
    assert answer.next == ""


def test_what_is_not_seen_is_not_judged():
    """Another thread's operations are unseen: the answer is the graph's own."""
    w, other = leaf(3), leaf(3)
    made = []
    with backwardpass.watch() as watched:
        thread = threading.Thread(target=lambda: made.append(w.detach() * other))
        thread.start()
        thread.join()
        loss = made[0].sum()
    answer = why_no_grad(w, loss, watched=watched)
    assert answer.cause == "not reached"


def test_the_watch_leaves_nothing_behind():
    """After the block, and after an exception in it, no mode is on, and no tensor is held."""
    alive = []

    def work(watched):
        with watched:
            x = leaf(3)
            alive.append(weakref.ref(x.untyped_storage()))
            _ = (x * 2).sum()
            raise ZeroDivisionError

    watched = backwardpass.watch()
    with pytest.raises(ZeroDivisionError):
        work(watched)
    assert _get_current_function_mode_stack() == []
    gc.collect()
    assert alive[0]() is None
    assert repr(watched) == "Watch(5 notes)"
    with watched, pytest.raises(RuntimeError, match="open already"):
        watched.__enter__()
    assert _get_current_function_mode_stack() == []


def test_watches_and_other_modes_nest():
    """Two watches see the same, and a mode outside still sees every call."""
    seen = []

    class Called(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.append(function.__name__)
            return function(*args, **(kwargs or {}))

    w = leaf(3)
    with Called(), backwardpass.watch() as outer, backwardpass.watch() as inner:
        loss = w.detach().sum() + leaf(2).sum()
    assert seen.count("detach") == 1
    assert [why_no_grad(w, loss, watched=one).cause for one in (outer, inner)] == ["detached"] * 2


def test_asking_inside_the_block_is_no_use():
    """A question is not noted as an operation."""
    w = leaf(3)
    with backwardpass.watch() as watched:
        loss = w.exp().sum()
        before = repr(watched)
        assert why_no_grad(w, loss, watched=watched).cause == "unknown"
        assert repr(watched) == before


def test_a_place_is_written_shortly():
    """Below the current folder without it, the function where there is one, the line's text."""
    here = Place(__file__, 3, "<module>")
    assert str(here).endswith("test_why.py:3: import gc")
    assert str(Place("/x/y.py", 7, "step")) == "/x/y.py:7, in step"
    shown = Answer("a", "b.", "c.", "d", ("e",), (Place("/x/y.py", 7, "step"),))
    assert shown.to_text().splitlines() == [
        "a: b.",
        "  at: /x/y.py:7, in step",
        "  seen: e",
        "  to change: c.",
        "  to run: d",
    ]


def test_a_tensor_that_is_met_after_the_loss_was_not_made_then():
    """Of a parameter that the optimizer holds and the loss does not, nothing untrue is said."""
    trained, used = torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    with backwardpass.watch() as watched:
        loss = used(torch.ones(2, 3)).square().mean()
        loss.backward()
        optimizer.step()
    answer = backwardpass.why_no_grad(trained.weight, loss, watched=watched)
    assert answer.cause == "not used"
    assert "made after" not in str(answer)
    assert "met only after the loss" in answer.because
    assert "scripted" in answer.next


def test_the_users_own_line_comes_before_the_librarys(tmp_path):
    """Where a library cut the way, the line that called it comes first, and the library's next."""
    library = tmp_path / "site-packages" / "library.py"
    library.parent.mkdir()
    library.write_text("def encode(model, x):\n    return model(x).detach()\n", "utf-8")
    space: dict = {}
    exec(compile(library.read_text("utf-8"), str(library), "exec"), space)
    model = torch.nn.Linear(3, 1)
    with backwardpass.watch() as watched:
        loss = space["encode"](model, torch.ones(2, 3)).sum()
    answer = backwardpass.why_no_grad(model.weight, loss, watched=watched)
    assert answer.cause == "detached"
    assert [place.filename for place in answer.places] == [__file__, str(library)]
    assert answer.places[0].source.startswith('loss = space["encode"]')


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")
def test_what_a_watch_did_not_see_ends_in_what_to_run():
    """A re-entrant checkpoint whose input requires none: no cut is seen, and the answer goes on."""
    model = torch.nn.Linear(3, 1)
    with backwardpass.watch() as watched:
        bias = torch.zeros(1, requires_grad=True)
        hidden = checkpoint(model, torch.ones(2, 3), use_reentrant=True)
        loss = (hidden + bias).sum()
    for seen in (watched, None):
        answer = backwardpass.why_no_grad(model.weight, loss, watched=seen)
        assert answer.next, str(answer)


def test_inside_vmap_the_answer_goes_on():
    """A detach() inside torch.func is not seen, and the answer says what to run."""
    w = torch.ones(2, requires_grad=True)
    b = torch.ones(2, requires_grad=True)
    with backwardpass.watch() as watched:
        loss = (torch.func.vmap(lambda each: each.detach() * 2)(w) + b).sum()
    answer = backwardpass.why_no_grad(w, loss, watched=watched)
    assert answer.change or answer.next, str(answer)
