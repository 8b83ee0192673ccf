"""Fifty random architectures of torch.nn layers, and two graphs as deep as graphs get."""

import random
import threading
from collections.abc import Callable

import pytest
import torch
from torch import nn

import backwardpass

WIDTH = 6


class Residual(nn.Module):
    """Adds what its part computes."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x):
        return x + self.part(x)


class Rows(nn.Module):
    """Gives its part the batch as one sequence or picture, and takes the result back as rows."""

    def __init__(self, part: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.part, self.shape = part, shape

    def forward(self, x):
        made = self.part(x.reshape(self.shape))
        made = made[0] if isinstance(made, tuple) else made
        return made.reshape(len(x), -1)[:, :WIDTH]


LAYERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Linear(WIDTH, WIDTH),
    lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    lambda: nn.Bilinear(WIDTH, WIDTH, WIDTH),
    nn.ReLU,
    lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True)),
    nn.GELU,
    nn.SiLU,
    nn.ELU,
    nn.Softplus,
    nn.PReLU,
    lambda: nn.Softmax(dim=-1),
    lambda: nn.LogSoftmax(dim=-1),
    lambda: nn.Dropout(0.3),
    lambda: nn.LayerNorm(WIDTH),
    lambda: nn.RMSNorm(WIDTH),
    lambda: nn.BatchNorm1d(WIDTH),
    lambda: nn.GroupNorm(2, WIDTH),
    lambda: Rows(nn.Conv1d(1, 2, 3, padding=1), (4, 1, WIDTH)),
    lambda: Rows(nn.Conv2d(1, 3, 2), (4, 1, 2, 3)),
    lambda: Rows(nn.ConvTranspose1d(1, 1, 3), (4, 1, WIDTH)),
    lambda: Rows(nn.MaxPool1d(2, 1, padding=1), (4, 1, WIDTH)),
    lambda: Rows(nn.AdaptiveAvgPool1d(WIDTH), (4, 1, WIDTH)),
    lambda: Rows(nn.RNN(WIDTH, WIDTH), (4, 1, WIDTH)),
    lambda: Rows(nn.GRU(WIDTH, WIDTH), (4, 1, WIDTH)),
    lambda: Rows(nn.LSTM(WIDTH, WIDTH), (4, 1, WIDTH)),
    lambda: Rows(nn.TransformerEncoderLayer(WIDTH, 2, 8, batch_first=True), (1, 4, WIDTH)),
    lambda: Rows(nn.Upsample(scale_factor=2), (4, 1, WIDTH)),
]


def build(draw: random.Random, depth: int = 0) -> nn.Module:
    layers = []
    for _ in range(draw.randint(1, 5)):
        part = (
            draw.choice(LAYERS)() if depth == 2 or draw.random() < 0.7 else build(draw, depth + 1)
        )
        if isinstance(part, nn.Bilinear):
            part = Twice(part)
        layers.append(Residual(part) if draw.random() < 0.3 else part)
    return nn.Sequential(*layers)


class Twice(nn.Module):
    """Gives a part of two arguments the same one twice."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x):
        return self.part(x, x)


def run(model: nn.Module, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    x = torch.randn(4, WIDTH, requires_grad=True)
    return (model(x) * torch.randn(4, WIDTH)).sum()


@pytest.mark.parametrize("seed", range(50))
def test_a_random_architecture(seed):
    """Bytes are what hooks see, the order is the engine's, and every node knows its module."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = build(random.Random(seed))
    held = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t) or t, lambda t: t):
        root = run(model, seed)
    expected = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in held}
    root.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()

    with backwardpass.modules(model):
        root = run(model, seed)
    graph = backwardpass.trace(root, model)
    seen = {
        saved.storage: saved.storage_nbytes
        for node in graph.nodes
        for saved in node.saved
        if saved.role in ("parameter", "input", "result")
    }
    # An in-place operation on a view is hidden in its node; then there may be more than is seen.
    hidden = sum(node.kind == "copy" for node in graph.nodes)
    assert graph.memory().unknown == hidden
    more = sum(expected.values()) - sum(seen.values())
    assert more >= 0 if hidden else more == 0
    outside = {"SumBackward0", "MulBackward0", "AccumulateGrad"}
    paths = {path for path, _ in model.named_modules()}
    for node in graph.nodes:
        if node.kind == "accumulate" and node.label:
            assert node.module == node.label.rpartition(".")[0]
        elif node.name not in outside:
            assert node.module in paths
    with backwardpass.record(values=True) as recording:
        root.backward()
    (seen_pass,) = recording.passes
    assert [step.node for step in seen_pass.steps] == list(range(len(graph.nodes)))
    assert seen_pass.kept_bytes()[-1] == 0
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert graph.to_text(max_nodes=None).count("\n") + 1 >= len(graph.nodes)


def in_a_deep_thread(work: Callable[[], None]) -> None:
    """Run where the stack is large: PyTorch frees what Python has seen by recursion."""
    raised = []

    def guarded():
        try:
            work()
        except BaseException as error:
            raised.append(error)

    before = threading.stack_size(512 * 2**20)
    try:
        deep = threading.Thread(target=guarded)
        deep.start()
        deep.join()
    finally:
        threading.stack_size(before)
    if raised:
        raise raised[0]


def chain(length: int) -> torch.Tensor:
    y = torch.ones(1, requires_grad=True)
    for _ in range(length):
        y = y + 1
    return y


def test_a_chain_of_200_000_nodes():
    """It is read to its leaf, and folded into a few lines; no stack is as deep as the chain."""

    def work():
        graph = backwardpass.trace(chain(200_000))
        assert len(graph.nodes) == 200_001
        assert graph.nodes[-1].kind == "accumulate"
        assert graph.to_text(max_nodes=20).count("\n") < 20

    in_a_deep_thread(work)


def test_an_rnn_of_10_000_steps():
    """Tens of thousands of nodes are read, counted, tabulated, folded and recorded."""

    def work():
        torch.manual_seed(0)
        model = nn.RNN(3, 2)
        loss = model(torch.randn(10_000, 1, 3))[0].square().mean()
        graph = backwardpass.trace(loss, model)
        assert len(graph.nodes) > 30_000
        assert {node.label for node in graph.nodes} >= {"weight_hh_l0", "bias_ih_l0"}
        assert graph.memory().total > 10_000 * 2 * 4
        assert len(graph.table().rows) == len(graph.nodes)
        text = graph.to_text(max_nodes=40)
        assert text.count("\n") < 120
        with backwardpass.record() as recording:
            loss.backward()
        assert len(recording.passes[0].steps) == len(graph.nodes)

    in_a_deep_thread(work)
