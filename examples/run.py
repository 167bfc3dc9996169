"""Runs the notebooks beside it anew, with what they print and draw: `make notebooks`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

for path in sorted(Path(__file__).parent.glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    # Without times, so that the file changes only where its results do.
    NotebookClient(notebook, timeout=None, coalesce_streams=True, record_timing=False).execute()
    nbformat.write(notebook, path)
    print(path)
