"""Operators of curvature beside other libraries: eigenpairs, densities, traces, diagonals, products over a data set, planes.

    python -m benchmarks.peers.operators [--rounds 9] [--threads 1] [--only "MLP 3×128/trace"] [--out results/benchmarks]

It goes on where ``benchmarks.peers`` ends, with its networks, its workers and its turns. Each call starts from the parameters:
it makes the operator, and computes.

**Time** is the processor's, of one thread and one core unless told otherwise: what else the machine does counts little then.

**What is checked.** Before anything is timed, what it gives is held against float64: products and planes against PyTorch's in
double precision, eigenpairs by ‖H v − λ v‖ with such products, and on the small network all of it against the dense Hessian. A
result further off than its task's bound is a failure, and has no time.

**Memory** is the peak of a process's resident set during one call, after a first one, above what the process held before: no
compiler and no import is in it, and what is freed is given back before.
"""
