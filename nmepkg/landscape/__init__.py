"""Loss and curvature over two weights of a small network."""
