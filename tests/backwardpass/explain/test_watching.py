"""Watching changes nothing that a program can notice: results, numbers drawn, errors, warnings."""

import contextlib
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

import backwardpass

init = nn.init


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.arange(12.0).reshape(3, 4) + 1)


def written(write: Callable[[nn.Parameter], Any]) -> Callable[[], Any]:
    """Write to a parameter where nothing is recorded, and use it afterwards."""

    def run() -> list[Any]:
        made = parameter()
        with torch.no_grad():
            write(made)
        (made * made).sum().backward()
        return [made, made.grad]

    return run


def filled(fill: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    return lambda: fill(torch.empty(6, 6, requires_grad=True), *args)


def built(make: Callable[[], nn.Module]) -> Callable[[], Any]:
    return lambda: list(make().state_dict().items())


def stepped(make: Callable[..., torch.optim.Optimizer], **options: Any) -> Callable[[], Any]:
    def run() -> Any:
        model = nn.Linear(4, 2)
        optimizer = make(model.parameters(), **options)
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.ones(3, 4)).square().mean().backward()
            optimizer.step()
        return list(model.state_dict().values())

    return run


def applied(change: Callable[[nn.Module], Any]) -> Callable[[], Any]:
    def run() -> Any:
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        found = change(model)
        loss = model(torch.ones(2, 4)).sum()
        loss.backward()
        return [found if isinstance(found, (torch.Tensor, float)) else None, loss]

    return run


def rows(weight: nn.Parameter) -> None:
    for row in weight:
        row.clamp_(max=3)


def forget_gate() -> list[torch.Tensor]:
    cell = nn.LSTM(3, 2)
    for name, bias in cell.named_parameters():
        if "bias" in name:
            bias.data[2:4].fill_(1.0)
            with torch.no_grad():
                bias[2:4] += 1
    return cell(torch.ones(2, 1, 3))[0].sum()


def clipped(clip: Callable[..., Any], most: float) -> Callable[[nn.Module], Any]:
    def run(model: nn.Module) -> Any:
        model(torch.ones(2, 4)).sum().backward()
        return clip(model.parameters(), most)

    return run


def loss(function: Callable[..., Any], *targets: torch.Tensor) -> Callable[[], Any]:
    return lambda: function(torch.linspace(0.1, 0.9, 6, requires_grad=True).view(2, 3), *targets)


half = torch.full((2, 3), 0.5)
UTILITIES: dict[str, Callable[[], Any]] = {
    "embedding with a padding row": built(lambda: nn.Embedding(9, 2, padding_idx=0)),
    "embedding bag with a padding row": built(lambda: nn.EmbeddingBag(9, 2, padding_idx=0)),
    "a column scaled": written(lambda w: w[:, 1].mul_(2)),
    "a column set": written(lambda w: w.__setitem__((slice(None), 1), 0.0)),
    "a row filled": written(lambda w: w[0].fill_(1)),
    "a flat view divided": written(lambda w: w.view(-1).div_(2)),
    "rows one by one": written(rows),
    "a chunk zeroed": written(lambda w: w.chunk(2)[0].zero_()),
    "a diagonal": written(lambda w: w.diagonal().add_(1)),
    "a transposed view": written(lambda w: w.T.copy_(torch.ones(4, 3))),
    "narrowed": written(lambda w: w.narrow(0, 0, 1).neg_()),
    "unbound": written(lambda w: w.unbind(0)[1].zero_()),
    "through data": written(lambda w: w.data[0].fill_(2)),
    "data set": written(lambda w: setattr(w, "data", torch.ones(3, 4))),
    "forget gate": forget_gate,
    "a warning of C++": lambda: torch.arange(6.0).view(1, 2, 3).T,
    "a warning with the function's own level": lambda: functional.softmax(torch.ones(2, 2)),
    "a warning of shapes": lambda: functional.mse_loss(torch.ones(3), torch.ones(3, 1)),
    "a warning of a method": lambda: torch.tensor(torch.ones(2)),
    "a warning of a property": lambda: (torch.ones(2, requires_grad=True) * 2).grad,
    "a warning of a scheduler": lambda: torch.optim.lr_scheduler.StepLR(
        torch.optim.SGD([parameter()], 0.1), 1
    ).step(),
    "a warning of a reduction": lambda: functional.l1_loss(
        torch.ones(2), torch.ones(2), size_average=True
    ),
    "an error": lambda: torch.ones(2) @ torch.ones(3),
    "an error of autograd": lambda: torch.ones(2).sum().backward(),
    "an error of a leaf": lambda: parameter().add_(1),
    "xavier_uniform_": filled(init.xavier_uniform_),
    "xavier_normal_": filled(init.xavier_normal_),
    "kaiming_uniform_": filled(init.kaiming_uniform_),
    "kaiming_normal_": filled(init.kaiming_normal_),
    "orthogonal_": filled(init.orthogonal_),
    "eye_": filled(init.eye_),
    "sparse_": filled(init.sparse_, 0.5),
    "trunc_normal_": filled(init.trunc_normal_),
    "uniform_": filled(init.uniform_),
    "normal_": filled(init.normal_),
    "constant_": filled(init.constant_, 3.0),
    "ones_": filled(init.ones_),
    "zeros_": filled(init.zeros_),
    "dirac_": lambda: init.dirac_(torch.empty(3, 3, 2, requires_grad=True)),
    "Linear": built(lambda: nn.Linear(3, 2)),
    "Bilinear": built(lambda: nn.Bilinear(3, 2, 2)),
    "Conv2d": built(lambda: nn.Conv2d(2, 4, 3)),
    "ConvTranspose2d": built(lambda: nn.ConvTranspose2d(2, 4, 3)),
    "BatchNorm1d": built(lambda: nn.BatchNorm1d(3)),
    "LayerNorm": built(lambda: nn.LayerNorm(3)),
    "GroupNorm": built(lambda: nn.GroupNorm(2, 4)),
    "RNN": built(lambda: nn.RNN(3, 2)),
    "GRU": built(lambda: nn.GRU(3, 2)),
    "LSTM with one layer dropped": built(lambda: nn.LSTM(3, 2, dropout=0.5)),
    "MultiheadAttention": built(lambda: nn.MultiheadAttention(4, 2)),
    "TransformerEncoderLayer": built(lambda: nn.TransformerEncoderLayer(4, 2, 8)),
    "Transformer": built(lambda: nn.Transformer(4, 2, 1, 1, 8)),
    "PReLU": built(nn.PReLU),
    "deferred shapes": lambda: nn.LazyLinear(2)(torch.ones(3, 4)),
    "SGD": stepped(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": stepped(torch.optim.Adam, lr=0.1, amsgrad=True),
    "AdamW": stepped(torch.optim.AdamW, lr=0.1),
    "Adamax": stepped(torch.optim.Adamax, lr=0.1),
    "NAdam": stepped(torch.optim.NAdam, lr=0.1),
    "RAdam": stepped(torch.optim.RAdam, lr=0.1),
    "RMSprop": stepped(torch.optim.RMSprop, lr=0.1, centered=True),
    "Rprop": stepped(torch.optim.Rprop, lr=0.1),
    "Adagrad": stepped(torch.optim.Adagrad, lr=0.1),
    "Adadelta": stepped(torch.optim.Adadelta, lr=0.1),
    "ASGD": stepped(torch.optim.ASGD, lr=0.1),
    "Adafactor": stepped(torch.optim.Adafactor, lr=0.1),
    "foreach": stepped(torch.optim.SGD, lr=0.1, foreach=True),
    "clip_grad_norm_": applied(clipped(nn.utils.clip_grad_norm_, 0.1)),
    "clip_grad_value_": applied(clipped(nn.utils.clip_grad_value_, 0.1)),
    "weight_norm": applied(lambda m: nn.utils.parametrizations.weight_norm(m[0])),
    "weight_norm of old": applied(lambda m: nn.utils.weight_norm(m[0])),
    "spectral_norm": applied(lambda m: nn.utils.parametrizations.spectral_norm(m[0])),
    "spectral_norm of old": applied(lambda m: nn.utils.spectral_norm(m[0])),
    "orthogonal": applied(lambda m: nn.utils.parametrizations.orthogonal(m[0])),
    "pruned": applied(lambda m: prune.l1_unstructured(m[0], "weight", 0.5)),
    "pruned at random": applied(lambda m: prune.random_structured(m[0], "weight", 1, 0)),
    "to a vector": applied(lambda m: nn.utils.parameters_to_vector(m.parameters())),
    "from a vector": applied(
        lambda m: nn.utils.vector_to_parameters(torch.ones(23), m.parameters())
    ),
    "skip_init": lambda: nn.utils.skip_init(nn.Linear, 3, 2).weight.shape,
    "load_state_dict": applied(lambda m: m.load_state_dict(m.state_dict())),
    "load_state_dict by assignment": applied(
        lambda m: m.load_state_dict(m.state_dict(), assign=True)
    ),
    "apply": applied(lambda m: m.apply(lambda part: None)),
    "requires_grad_": applied(lambda m: m[0].requires_grad_(False)),
    "double": applied(lambda m: m.double().float()),
    "functional_call": applied(
        lambda m: torch.func.functional_call(m, dict(m.named_parameters()), torch.ones(1, 4)).sum()
    ),
    "averaged": applied(lambda m: torch.optim.swa_utils.AveragedModel(m).update_parameters(m)),
    "packed sequence": lambda: nn.utils.rnn.pack_padded_sequence(
        torch.ones(3, 2, 1), torch.tensor([3, 2])
    ).data,
    "pad_sequence": lambda: nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(3)]),
    "cross_entropy": loss(functional.cross_entropy, torch.tensor([0, 2])),
    "nll_loss": loss(functional.nll_loss, torch.tensor([0, 2])),
    "binary_cross_entropy": loss(functional.binary_cross_entropy, half),
    "kl_div": loss(functional.kl_div, half),
    "smooth_l1_loss": loss(functional.smooth_l1_loss, half),
    "huber_loss": loss(functional.huber_loss, half),
    "gumbel_softmax": loss(functional.gumbel_softmax),
    "dropout": loss(functional.dropout),
    "max with indices": lambda: torch.ones(2, 3).max(0),
    "named results": lambda: torch.linalg.svd(torch.ones(2, 2)),
    "gradcheck": lambda: torch.autograd.gradcheck(
        torch.sin, torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    ),
    "hessian": lambda: torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.ones(2)),
    "vmap of a gradient": lambda: torch.func.vmap(torch.func.grad(torch.sin))(torch.ones(3)),
    "as_strided": lambda: torch.ones(4).as_strided((2,), (2,)),
    "a subclass": lambda: type(nn.Parameter(torch.ones(2)) * 2),
    "a buffer": lambda: type(nn.Buffer(torch.ones(2)).clone()),
}  # fmt: skip


def plain(value: Any) -> Any:
    """Write down what a utility gave so that two runs can be compared."""
    if isinstance(value, torch.Tensor):
        return type(value).__name__, value.requires_grad, value.dtype, value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(part) for part in value]
    return value if isinstance(value, (str, int, float, type(None))) else type(value).__name__


def outcome(utility: Callable[[], Any], around: Any) -> tuple:
    """Run a utility: its result, its error, its warnings with their places, numbers drawn."""
    torch.manual_seed(0)
    found, error = None, None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        # PyTorch says some of it once in a process, and to whoever asks first.
        before = torch.is_warn_always_enabled()
        torch.set_warn_always(True)
        try:
            with around:
                try:
                    found = plain(utility())
                except (RuntimeError, ValueError) as raised:
                    error = type(raised), str(raised)
        finally:
            torch.set_warn_always(before)
    told = [(one.category, str(one.message), one.filename, one.lineno) for one in heard]
    return found, error, told, torch.rand(3).tolist()


@pytest.mark.parametrize("name", UTILITIES)
def test_a_utility_does_the_same_watched(name):
    """Of each utility result, error, warnings, their lines, and the numbers drawn are the same."""
    outcome(UTILITIES[name], contextlib.nullcontext())  # what is said once in a process is said
    alone = outcome(UTILITIES[name], contextlib.nullcontext())
    watched = outcome(UTILITIES[name], backwardpass.watch())
    assert watched == alone
    if "warning" in name:
        assert alone[2], "the utility is here for its warning"


def test_a_warning_is_shown_once_where_it_was_before():
    """A filter that shows a warning once for each line does so too, watched or not."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")
        with backwardpass.watch():
            for _ in range(3):
                functional.softmax(torch.ones(2, 2))
    here = [one for one in heard if "Implicit dimension" in str(one.message)]
    assert [one.filename for one in here] == [__file__]


def test_the_line_of_an_error_is_the_users():
    """A traceback still ends in the user's code."""
    with pytest.raises(RuntimeError) as raised, backwardpass.watch():
        torch.ones(2) @ torch.ones(3)
    assert traceback.extract_tb(raised.value.__traceback__)[-1].filename == __file__
