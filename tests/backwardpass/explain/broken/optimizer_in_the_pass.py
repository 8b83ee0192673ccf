"""A hook takes an optimizer's step during the pass and removes the gradient."""

# cause: removed by a hook
# needs: recording
import torch
from torch import nn


def step(parameter):
    with torch.no_grad():
        parameter -= 0.1 * parameter.grad
    parameter.grad = None


model = nn.Linear(3, 2)
for parameter in model.parameters():
    parameter.register_post_accumulate_grad_hook(step)
loss = model(torch.randn(4, 3)).square().mean()
loss.backward()  # here
asked = model.weight
