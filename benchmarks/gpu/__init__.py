"""Training steps and curvature on this machine's accelerator: time and memory, beside PyTorch and curvlinops if installed.

    python -m benchmarks.gpu [--minutes 8] [--precision tensorfloat32] [--out results/benchmarks]

Writes ``gpu.csv``, each row as soon as it is measured; called again it goes on with what is missing. A network is measured in a
process of its own, by one library after the other: a compiler that aborts, or memory that runs out, costs one row. What is
worth most comes first: ours, then eager PyTorch's, the operations, curvature, and PyTorch's with ``torch.compile``.

XLA counts the operations of our steps for a CPU: of a program for a GPU it leaves out what it hands to libraries. ``XLA_FLAGS``
are yours, and recorded.
"""
