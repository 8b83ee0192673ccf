"""The order of execution, as predicted and as it happens."""

import random

import torch

import backwardpass
from backwardpass.data.order import execution_order

WAYS = ("mul", "add", "sin", "unbind", "split", "in place", "in a slice", "cat", "stack")


def random_roots(seed: int) -> list[torch.Tensor]:
    """Compute something at random: fan-out, several outputs, in-place operations, several roots."""
    draw = random.Random(seed)
    pool = [torch.linspace(0.1, 1, 4).requires_grad_() for _ in range(draw.randint(1, 9))]
    for _ in range(draw.randint(3, 40)):
        way, a, b = draw.choice(WAYS), draw.choice(pool), draw.choice(pool)
        if way == "mul":
            made = a * b
        elif way == "add":
            made = a + b
        elif way == "sin":
            made = a.sin()
        elif way == "unbind":
            parts = (a * 1).unbind(0)
            made = torch.stack([parts[draw.randrange(4)] for _ in range(4)])
        elif way == "split":
            parts = torch.split(a, 2)
            made = torch.cat([parts[1], parts[draw.randrange(2)]])
        elif way == "in place":
            made = a.clone().mul_(b)
        elif way == "in a slice":
            made = a.clone()
            made[1:3] = b[:2]
        elif way == "cat":
            made = torch.cat([a, b, a])[2:6] + a * a
        else:
            made = torch.stack(draw.choices(pool, k=9)).sum(0)
        pool.append(made)
    return draw.choices(pool, k=draw.choice([1, 1, 2, 3, 5]))


def test_the_engine_runs_300_random_graphs_in_the_predicted_order():
    """Every node runs, in the order of the graph's nodes, ties and several roots included."""
    torch.set_num_threads(1)
    for seed in range(300):
        roots = random_roots(seed)
        with backwardpass.record() as recording:
            torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
        (seen,) = recording.passes
        assert [step.node for step in seen.steps] == list(range(len(seen.graph.nodes))), seed


def test_equal_priorities_leave_the_heap_as_in_libstdcxx():
    """Eight ready nodes of one priority come out in the order std::priority_queue gives them."""
    order = execution_order([[1, 2, 3, 4, 5, 6, 7, 8]] + [[]] * 8, [0] + [9] * 8, [0])
    assert order == [0, 1, 3, 7, 6, 8, 5, 2, 4]
