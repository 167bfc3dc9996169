"""Activations, and the replacement of an activation's second derivative.

Every function here is elementwise, finite for any finite float32 input, and right under nested forward and reverse mode. The
names are those of ``__init__.pyi``, each imported when it is first asked for: a new activation, in a module of its own, changes
no run's code.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
