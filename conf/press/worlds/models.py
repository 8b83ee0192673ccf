"""Small models of torch.nn, each with an input."""

import random

from press.worlds.case import Script, World

# Each makes ``model`` and the input ``x``; from the simplest on.
MODELS = {
    "linear": ("torch.nn.Linear(4, 3)", "torch.randn(5, 4)"),
    "mlp": (
        "torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1))",
        "torch.randn(5, 4)",
    ),
    "in-place relu": (
        "torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(inplace=True), "
        "torch.nn.Linear(6, 2))",
        "torch.randn(5, 4)",
    ),
    "batch norm": (
        "torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.GELU(), "
        "torch.nn.Linear(6, 2))",
        "torch.randn(5, 4)",
    ),
    "layer norm": (
        "torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.LayerNorm(6), torch.nn.SiLU())",
        "torch.randn(5, 4)",
    ),
    "convolution": (
        "torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), "
        "torch.nn.Flatten(), torch.nn.Linear(12, 2))",
        "torch.randn(3, 2, 6, 6)",
    ),
    "group norm": (
        "torch.nn.Sequential(torch.nn.Conv1d(2, 4, 3), torch.nn.GroupNorm(2, 4), "
        "torch.nn.LeakyReLU())",
        "torch.randn(3, 2, 8)",
    ),
    "embedding": (
        "torch.nn.Sequential(torch.nn.Embedding(7, 4), torch.nn.Linear(4, 2))",
        "torch.tensor([[0, 3, 3], [6, 1, 0]])",
    ),
    "bilinear": (
        "torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Softmax(-1), torch.nn.PReLU())",
        "torch.randn(5, 4)",
    ),
    "dropout": (
        "torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Dropout(0.5), torch.nn.Linear(6, 2))",
        "torch.randn(5, 4)",
    ),
    "transformer": (
        "torch.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)",
        "torch.randn(2, 3, 8)",
    ),
}
RECURRENT = {
    "lstm": ("torch.nn.LSTM(4, 3, batch_first=True)", "torch.randn(2, 5, 4)"),
    "gru": ("torch.nn.GRU(4, 3, batch_first=True)", "torch.randn(2, 5, 4)"),
}
TEXT = """\
import torch

torch.manual_seed({seed})
model = {model}.to({dtype})
x = {x}
x = x.to({dtype}) if x.is_floating_point() else x
{output}"""
SENTENCE = (
    "small models of torch.nn: linear, normalised, convolutional, recurrent, with an embedding, "
    "dropout, an in-place activation, and a layer of a transformer, in float64 and float32"
)


def models() -> World:
    """The world of models; a case defines ``model``, ``x``, ``output`` and ``loss``."""

    def draw(choose: random.Random) -> Script:
        name = choose.choice([*MODELS, *RECURRENT])
        seed, dtype = choose.randrange(5), choose.choice(["torch.float64", "torch.float32"])
        return _script(name, seed, dtype)

    return World("models", SENTENCE, "models", draw)


def _script(name: str, seed: int, dtype: str) -> Script:
    model, x = (MODELS | RECURRENT)[name]
    output = "output = model(x)[0]" if name in RECURRENT else "output = model(x)"
    output += "\nloss = (output * output).sum()"
    text = TEXT.format(seed=seed, model=model, x=x, output=output, dtype=dtype)
    fewer = []
    if (seed, dtype) != (0, "torch.float64"):
        fewer.append(_script(name, 0, "torch.float64"))
    before = list(MODELS)[: list(MODELS).index(name)] if name in MODELS else list(MODELS)
    if (seed, dtype) == (0, "torch.float64"):
        fewer += [_plain(other) for other in before]
    return Script(text, tuple(fewer))


def _plain(name: str) -> Script:
    """A model with the first seed, below which nothing simpler is tried."""
    model, x = MODELS[name]
    output = "output = model(x)\nloss = (output * output).sum()"
    return Script(TEXT.format(seed=0, model=model, x=x, output=output, dtype="torch.float64"))
