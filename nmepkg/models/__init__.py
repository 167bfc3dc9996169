"""Models: Flax Linen modules from a batch of inputs to logits, with any activation."""
