"""The model was left in evaluation mode: its dropout is in no graph."""

import torch
from torch import nn

model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
model.eval()
loss = model(torch.randn(5, 3)).square().mean()
