"""Edge cases of activations: on the kinks, on both sides, and every option."""

from press.trials.operators.cases import SIXTH, case, edges, normal, number, numbers

KINKS = {
    "relu": (-1, 0, 2), "relu6": (-1, 0, 3, 6, 7), "hardtanh": (-2, -1, 0.5, 1, 2),
    "hardsigmoid": (-4, -3, 1, 3, 4), "hardswish": (-4, -3, 1, 3, 4), "leaky_relu": (-1, 0, 2),
    "elu": (-1, 0, 2), "celu": (-1, 0, 2), "selu": (-1, 0, 2), "softshrink": (-1, -0.5, 0, 0.5, 1),
    "hardshrink": (-1, -0.5, 0, 0.5, 1),
}  # fmt: skip
for _name, _points in KINKS.items():

    @edges(f"nn.functional.{_name}")
    def kinks(points=_points, name=_name):
        off = [x + 0.05 for x in points]
        on = case("on the kinks", numbers(*points)).kink()
        beside = case("beside them", numbers(*off))
        if name == "hardsigmoid":
            for check in ("autograd", "forward"):
                on = on.inexact(check, 1e-7, SIXTH)
                beside = beside.inexact(check, 1e-7, SIXTH)
        yield on
        yield beside


OPTIONS = {
    "hardtanh": {"min_val": -0.3, "max_val": 0.4}, "leaky_relu": {"negative_slope": 0.3},
    "elu": {"alpha": 0.7}, "celu": {"alpha": 0.7}, "softshrink": {"lambd": 0.2},
    "hardshrink": {"lambd": 0.2}, "softplus": {"beta": 2, "threshold": 1.0},
    "gelu": {"approximate": "tanh"}, "threshold": {"threshold": 0.1, "value": 5},
}  # fmt: skip
for _name, _options in OPTIONS.items():

    @edges(f"nn.functional.{_name}")
    def options(options=_options, name=_name):
        told = ", ".join(f"{option}={value}" for option, value in options.items())
        made = case(told, numbers(-3, -0.6, -0.25, 0.15, 0.35, 0.6, 3), **options)
        if name == "celu":
            for check in ("autograd", "forward"):
                made = made.inexact(check, 1e-7, "it inverts alpha in single precision")
        yield made


@edges(*(f"nn.functional.{name}" for name in ("silu", "mish", "softplus", "logsigmoid", "gelu")))
def smooth():
    yield case("at 0 and far out", numbers(-15, 0, 15)).real()
    yield case("one number", number(-1.0))


@edges("nn.functional.softsign", "nn.functional.tanhshrink")
def odd():
    yield case("on both sides of 0", numbers(-3, 0.5, 2))
    yield case("at 0", numbers(0, 1)).real()


@edges("nn.functional.elu")
def with_a_kink():
    yield case("alpha=0.7, at 0", numbers(-1, 0, 2), 0.7).kink()


@edges("nn.functional.softplus")
def on_the_jump():
    yield case("on the threshold", numbers(0.25, 0.5, 0.75), 2, 1.0).kink()


@edges("nn.functional.threshold")
def on_the_threshold():
    yield case("on it", numbers(0.1, 1), 0.1, 5).kink()


@edges("nn.functional.prelu")
def learned():
    yield case("a weight for each channel", normal(2, 3, 4), numbers(0.1, -0.2, 0.3))
    told = "at 0 reverse mode takes the slope of the negative side, forward mode 1"
    yield case("one weight, at 0", numbers(-1, 0, 2), numbers(0.25)).kink().disagrees(forward=told)
    yield case("one dimension", normal(5), numbers(0.25))


@edges("nn.functional.glu")
def gated():
    yield case("along the first dimension", normal(4, 3), 0)
    yield case("along the last", normal(3, 4))


@edges("nn.functional.dropout")
def dropped():
    yield case("not training", normal(5), 0.5, False)
    yield case("p = 0", normal(5), 0.0)
    yield case("p = 0.8, in a matrix", normal(5, 4), 0.8)


@edges("nn.functional.leaky_relu")
def slopes_below_zero():
    yield case("a negative slope below 0", numbers(-2, -0.5, 1), -0.3)


@edges("nn.functional.celu")
def alpha_below_zero():
    made = case("alpha=-0.5", numbers(-2, -0.5, 1), -0.5)
    yield made


@edges("nn.functional.elu")
def alpha_zero():
    yield case("alpha=0", numbers(-2, -0.5, 1), 0.0)


@edges("nn.functional.prelu")
def far_below():
    yield case("far below", numbers(-60, -1e9, 1), numbers(0.25))
