"""An encoder is to be trained with its head, and the head is given detached features."""

# cause: detached
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        features = self.encoder(x).tanh().detach()  # here
        return self.head(features)


model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    optimizer.zero_grad()
    loss = model(torch.randn(5, 4)).square().mean()
    loss.backward()
    optimizer.step()
asked = model.encoder.weight
