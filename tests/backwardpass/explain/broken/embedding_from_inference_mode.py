"""An embedding is prepared in inference mode and then to be trained."""

# cause: inference tensor
import torch
from torch import nn

head = nn.Linear(3, 2)
with torch.inference_mode():
    embedding = torch.randn(4, 3)
loss = head(embedding.clone()).square().mean()
loss.backward()
asked = embedding
