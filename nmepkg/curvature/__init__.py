"""Products with the Hessian H = G + N of a network's loss, its Gauss-Newton part G and its Nonlinear Modeling Error N.

The names are those of ``__init__.pyi``. What a method needs is imported here; the rest when it is first asked for, so that a
change to spectra, say, retrains nothing.
"""

import lazy_loader

from nmepkg.curvature import products as products

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
