"""From live tensors to plain data: the layer that knows PyTorch, its private names in one place."""

from backwardpass.read.needed import check

check()
