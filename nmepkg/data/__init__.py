"""Data sets: one module a source makes the arrays, :mod:`nmepkg.data.store` keeps, checks and splits them."""
