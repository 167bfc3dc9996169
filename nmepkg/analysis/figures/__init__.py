"""One module a figure kind; :mod:`nmepkg.analysis.render` lists them."""
