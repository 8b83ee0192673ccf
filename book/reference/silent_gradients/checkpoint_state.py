import torch
from torch.utils.checkpoint import checkpoint

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)


def loss(x):
    schedule = {"step": 0}

    def block(x):
        schedule["step"] += 1  # and once more when the block runs again
        return (schedule["step"] * x).sin()

    return checkpoint(block, x, use_reentrant=False).sum()


loss(x).backward()
gradient = x.grad
right = torch.cos(x.detach())
print("autograd", gradient)
print("right   ", right)
