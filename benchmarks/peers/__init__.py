"""nmepkg beside what people would use instead: PyTorch, curvlinops, PyHessian and hessian-eigenthings.

    make benchmark-peers
    python -m benchmarks.peers [--rounds 15] [--threads 2] [--only CURVATURE/CNN] [--out results/benchmarks]

Training steps and curvature of the same networks with the same parameters and batches, in float32 on the CPU; ours compiled,
PyTorch's eager and written as its users write it. What is measured is in ``cases``.

**How it is fair.** Ours and theirs are a process each, held to the same cores and to as many threads. They take turns: the
parent continues the one (SIGCONT), asks it for some repetitions of a task, which it times itself, and stops it (SIGSTOP). A
process that is stopped cannot spin, so that neither library's pool of threads slows the other, and each waits for work in
its own way. Turns alternate, so that a busy machine slows both alike; a ratio is the median of those of the rounds.

**How accurate.** Errors are relative to float64 numbers that PyTorch alone computes: H v and G v along the way, traces,
eigenvalues and densities from the dense Hessian of a network that is small enough to have one.
"""
