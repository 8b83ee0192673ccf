"""What becomes of a gradient where there is none: measured, kept, and shown."""

import pytest
import torch
from press.show import fates as shown
from press.trials.operators import fates

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.mark.parametrize(
    ("name", "kind", "fate"),
    [
        ("exp", "reverse", "gradient"),
        ("floor", "reverse", "zeros"),
        ("bernoulli", "reverse", "zeros"),
        ("argmax", "reverse", "not attached"),
        ("special.bessel_j0", "reverse", "not attached"),
        ("special.zeta", "reverse", "raises"),
        ("nn.functional.pdist", "second", "raises"),
        ("grid_sampler_2d", "forward", "raises"),
    ],
)
def test_what_is_kept_is_what_happens(name, kind, fate):
    """Asked again, an operator answers as the file says."""
    kept = fates.read()
    assert kept["torch"] == torch.__version__.split("+")[0]
    assert kept["rows"][name] == fates.measured(name)
    assert kept["rows"][name][kind].partition(":")[0] == fate


def test_a_gradient_is_not_told_among_the_missing():
    """Only what has no gradient stands in the table, with PyTorch's words."""
    rows = shown.rows(fates.read(), "reverse")
    names = {name for _, name, _ in rows}
    assert "exp" not in names
    assert {"floor", "argmax", "special.zeta"} <= names
    assert all(message for fate, _, message in rows if fate == "raises")
