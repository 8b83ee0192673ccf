"""A backbone was frozen for a warm-up, and nobody let it go."""

# cause: frozen
import torch
from torch import nn

backbone, head = nn.Linear(4, 3), nn.Linear(3, 2)
backbone.requires_grad_(False)  # here
for _ in range(3):
    loss = head(backbone(torch.randn(5, 4)).tanh()).square().mean()
    loss.backward()
asked = backbone.weight
