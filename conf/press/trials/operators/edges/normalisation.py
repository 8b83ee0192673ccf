"""Edge cases of normalisation: options, statistics, groups, and data that do not vary."""

from press.trials.operators.cases import case, edges, normal, numbers, positive


@edges("nn.functional.layer_norm")
def layer_norm():
    yield case(
        "two dimensions, both parameters", normal(5, 2, 3), (2, 3), normal(2, 3), normal(2, 3), 0.1
    )
    yield case("only the bias", normal(4, 3), (3,), None, normal(3))
    yield case("constant rows", numbers([2, 2, 2], [1, 2, 4]), (3,))


@edges("nn.functional.rms_norm")
def rms_norm():
    yield case("two dimensions, a weight", normal(5, 2, 3), (2, 3), normal(2, 3), 0.1)
    yield case("no weight, no eps", normal(4, 3), (3,))
    told = "the step is larger than the numbers"
    yield case("no eps, numbers as small as its root", 1e-8 * normal(4, 3), (3,)).kink(told)


@edges("nn.functional.group_norm")
def group_norm():
    yield case("three groups of two", normal(4, 6, 5), 3, normal(6), normal(6), 0.1)
    yield case("each channel, no parameters", normal(4, 3, 2, 5), 3)


@edges("nn.functional.instance_norm")
def instance_norm():
    yield case("parameters", normal(2, 3, 5), None, None, normal(3), normal(3), True, 0.1, 0.1)
    given = normal(3), positive(3), normal(3), normal(3)
    yield case("running statistics", normal(2, 3, 5), *given, False).wrt("input", "weight", "bias")


@edges("nn.functional.batch_norm")
def batch_norm():
    yield case("training, no parameters", normal(4, 3), None, None, training=True)
    yield case("training, both", normal(4, 3, 5), None, None, normal(3), normal(3), True, 0.1, 0.1)
    given = normal(3), positive(3), normal(3), normal(3)
    yield case("not training", normal(4, 3, 2), *given).wrt("input", "weight", "bias")
    told = "training, running statistics change"
    yield case(told, normal(4, 3, 2), *given, True).wrt("input", "weight", "bias")


@edges("nn.functional.local_response_norm")
def local_response_norm():
    yield case("an even window", normal(2, 7, 3), 4, 0.5, 0.75, 1.0)
    yield case("an odd window", normal(2, 7, 3), 5, 0.5, 0.75, 1.0)
    yield case("an odd window, larger than the channels", normal(2, 3, 4), 7, 0.5, 1.5, 2.0)
