"""Training methods: factories of pure functions from a model, a loss and a batch to the direction that the optimiser descends.

The names are those of ``__init__.pyi``. Each is imported when it is first asked for, so that a run's code hash holds the
module of its own method and no other's.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
