"""Edge cases of differences, integrals, quantiles and short-time spectra."""

from press.trials.operators.cases import (
    case,
    edges,
    indices,
    nan,
    normal,
    number,
    numbers,
    positive,
)


@edges("diff")
def diff():
    yield case("more often than there are", normal(3), 5)
    yield case("something before and after", normal(2, 3), 2, 0, normal(1, 3), normal(2, 3))
    yield case("not at all", normal(3), 0)


@edges("gradient")
def gradient():
    yield case("two entries", normal(2))
    places = numbers(0.0, 1.0, 1.5, 4.0)
    yield case("places, second order at the ends", normal(4), spacing=[places], edge_order=2)
    yield case("one step for each", normal(3, 4), spacing=[0.5, 2.0], dim=(1, 0))


@edges("trapezoid", "trapz", "cumulative_trapezoid")
def trapezoid():
    yield case("one entry", normal(1))
    yield case("places shared by all rows", normal(2, 4), numbers(0.0, 1.0, 1.5, 4.0))
    yield case("along the first", normal(4, 2), normal(4, 2), dim=0)


@edges("cov")
def cov():
    yield case(
        "both weights", normal(2, 4), fweights=indices(1, 2, 0, 3), aweights=positive(4)
    ).real()
    yield case("weights, no correction", normal(2, 3), correction=0, aweights=positive(3)).real()
    yield case("one observation: divided by 0", normal(2, 1))


@edges("corrcoef")
def corrcoef():
    yield case("three variables", normal(3, 5))
    yield case("not contiguous", normal(4, 6)[:, ::2])


@edges("quantile")
def quantile():
    yield case("between two", numbers(3, 1, 2), 0.3).real()
    yield case("several levels, kept", normal(2, 5), numbers(0.1, 0.45, 0.9), 1, True).real()
    yield case("one NaN", numbers(1, nan, 2), 0.5).real()
    yield case("ties", numbers(1, 1, 2, 1), 0.5).real().kink()
    for kind in ("lower", "higher", "midpoint", "nearest"):
        yield case(kind, numbers(3, 1, 2, 8), 0.4, interpolation=kind).real()


@edges("nanquantile")
def nanquantile():
    yield case("with NaN", numbers(3, nan, 2, 1), 0.3).real()
    yield case("several levels", normal(2, 5), numbers(0.1, 0.8), 0).real()
    yield case("NaN alone in a row", numbers([nan, nan], [1, 2]), 0.4, 1).real()


@edges("stft")
def stft():
    yield case(
        "a window shorter than the frame", normal(20), 8, 3, 5, positive(5), return_complex=True
    )
    yield case(
        "scaled, constant border", normal(2, 12), 6, pad_mode="constant", normalized=True,
        return_complex=True,
    )  # fmt: skip


@edges("istft")
def istft():
    def spectrum(rows, frames):
        return normal(rows, frames) + 1j * normal(rows, frames)

    yield case("a length", spectrum(5, 4), 8, 2, length=5)
    whole = {"onesided": False, "return_complex": True}
    yield case("a window, all of the spectrum", spectrum(8, 4), 8, 2, window=positive(8), **whole)


@edges("fft.hfft2", "fft.hfftn")
def hermitian():
    yield case("cut off and continued", normal(3, 4), (5, 3), (0, 1), "forward")
    yield case("one number", normal(1, 1), (1, 1))


@edges("fft.ihfft2", "fft.ihfftn")
def from_hermitian():
    yield case("cut off and continued", normal(3, 4), (5, 3), (0, 1), "forward").real()
    yield case("an odd length", normal(2, 5), norm="ortho").real()


@edges("quantile", "nanquantile")
def one_number():
    yield case("of one number", number(2.0), 0.7).real()
