"""An evaluation switches recording off, returns early, and training goes on."""

# cause: recording was off
# raises: does not require grad
# seen: recording was switched off at {off}
import torch
from torch import nn

model = nn.Linear(3, 1)


def evaluate(x):
    torch.set_grad_enabled(False)  # off
    error = model(x).square().mean()
    if error < 1e9:
        return error
    torch.set_grad_enabled(True)
    return None


evaluate(torch.randn(4, 3))
loss = model(torch.randn(4, 3)).square().mean()  # here
asked = model.weight
loss.backward()
