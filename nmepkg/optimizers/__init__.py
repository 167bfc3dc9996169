"""Optimisers: factories of what becomes of a method's direction, up to the learning rate, from Optax.

An optimiser is made by a factory from weight decay and its own options,

    ``make(decay, **options) -> optax.GradientTransformation``

and says where the decay goes: ``decay`` adds λθ to what it is given, or leaves it alone where decay is a part of the loss.
Clipping comes before all of it, the step −lr(t) after (:mod:`nmepkg.training.optimizer`). Options that are real numbers are
traced; a run's code hash holds the module of its own optimiser and no other's.
"""
