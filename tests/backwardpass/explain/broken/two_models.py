"""The optimizer has another model than the loss."""

# cause: not used
import torch
from torch import nn

trained, used = nn.Linear(3, 1), nn.Linear(3, 1)
optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
asked = trained.weight
loss = used(torch.ones(2, 3)).square().mean()
loss.backward()
optimizer.step()
