"""Why a gradient is missing: from a graph, from recorded passes, from a watched forward pass."""
