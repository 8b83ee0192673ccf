"""What the PyTorch at hand cannot tell is skipped by name, with the reason that users get."""

import pytest

import backwardpass


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(ability): run where abilities() knows it, and skipped elsewhere"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            skip_without(name)


def skip_without(name: str) -> None:
    """Skip the test that asks, where PyTorch lacks what an ability needs."""
    ability = backwardpass.abilities()[name]
    if not ability.known:
        pytest.skip(f"{name}: {ability.reason.partition(': ')[0]}")
