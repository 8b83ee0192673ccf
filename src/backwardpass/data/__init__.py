"""What a graph and a backward pass are, as plain data; needs the standard library alone."""
