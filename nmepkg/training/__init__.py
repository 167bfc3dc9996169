"""Training: one run from its spec to its result. The entry point is :mod:`nmepkg.training.train`."""
