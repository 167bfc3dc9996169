"""Training methods: pure functions from a model, a loss and a batch to the direction that the optimiser descends."""
