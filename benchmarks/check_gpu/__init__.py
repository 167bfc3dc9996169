"""A site check: what this project does on a GPU that nobody has tried it on, by one command, without a network.

    make check-gpu [MINUTES=25] [CHECK_OUT=results/check-gpu] [OFFLINE=1]
    python -m benchmarks.check_gpu [--minutes 25] [--only machine,numerics] [--small] [--out results/check-gpu]

Stages come in order of worth. Each is a process of its own, has a share of the minutes, and leaves a file as it ends:
``NAME.json`` with everything; ``lines.txt`` has a line of each for people. What a stage had measured when it was cut off stays,
and called again the check goes on with what is missing. ``--small`` is all of it on a CPU, in a few minutes, with numbers that
mean nothing.

The study needs its data, which are prepared where there is a network: ``make check-gpu-data``.
"""
