"""Code of one's own for studies of nmepkg: rename it as you like, in study.yaml too."""
