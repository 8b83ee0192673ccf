"""Edge cases of Fourier transforms: odd and even lengths, cut or continued, every norm."""

from press.trials.operators.cases import case, edges, normal, number, numbers, positive

ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
for _name in ONE:

    @edges(f"fft.{_name}")
    def one():
        for norm in ("backward", "forward", "ortho"):
            yield case(f"odd, {norm}", normal(5), norm=norm)
            yield case(f"even, along the first, {norm}", normal(6, 2), dim=0, norm=norm)
        yield case("cut off", normal(6), 4)
        yield case("cut off to an odd length", normal(6), 5)
        yield case("continued", normal(4), 7)


for _name in ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn", "irfft2", "irfftn"):

    @edges(f"fft.{_name}")
    def several():
        yield case("sizes, one cut off, one continued", normal(2, 4, 5), (5, 4), (1, 2), "ortho")
        yield case("all dimensions as they are", normal(4, 5), norm="forward")
        yield case("sizes without dimensions", normal(2, 4, 5), (3, 6))


for _name in ("fftshift", "ifftshift"):

    @edges(f"fft.{_name}")
    def shifted():
        yield case("odd and even", normal(3, 4))
        yield case("one dimension", normal(3, 5), 1)


@edges("conj", "conj_physical", "resolve_conj", "resolve_neg", "real", "imag")
def parts():
    yield case("numbers", normal(3))
    yield case("one number", number(2.0))
    yield case("none", normal(0))


@edges("complex")
def complex_():
    yield case("two parts", normal(3), normal(3)).real()
    yield case("both repeated", normal(3, 1), normal(4)).real()


@edges("polar")
def polar():
    told = "at a length of 0 reverse mode gives the length 0, which is not the derivative"
    made = case("a length of 0", numbers(0, 2), numbers(1, -2)).real()
    yield made.disagrees(forward=told, finite=told)
    told = "at a length below 0 reverse mode takes the direction of y, which is the other one"
    made = case("a length below 0", numbers(-1, 2), numbers(1, -2)).real()
    yield made.disagrees(forward=told, finite=told)
    yield case("both repeated", positive(3, 1), normal(4)).real()


@edges("angle")
def angle():
    yield case("on the axes", numbers(1, 2, -3)).real()
    yield case("at 0", numbers(0, 1, -2)).kink()
    yield case("one number", number(2.0))


for _name in ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn"):

    @edges(f"fft.{_name}")
    def sizes_left_open():
        yield case("sizes left as they are", normal(4, 5), (-1, -1))


@edges("angle")
def tiny():
    yield case("tiny", numbers(1e-9, -2e-9)).kink("tiny")
