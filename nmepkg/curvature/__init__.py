"""Products with the Hessian H = G + N of a network's loss, its Gauss-Newton part G and its Nonlinear Modeling Error N."""

from nmepkg.curvature.products import Products, gnvp, hvp, linearize, map_vectors, nmevp, split_nmevp

__all__ = ["Products", "gnvp", "hvp", "linearize", "map_vectors", "nmevp", "split_nmevp"]
