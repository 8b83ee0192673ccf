"""From live tensors to plain data."""
