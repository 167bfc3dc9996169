"""How many images a second the stream of ImageNet gives, and how much that is of what decoding alone would give.

    python benchmarks/input_pipeline.py [--images 600] [--size 224] [--workers 0 1 2] [--rounds 3]

Images are generated, of 500 × 375 pixels, and prepared as tensorflow-datasets prepares ImageNet. Beside the stream, as many
processes (for 0 workers, as many threads of this one as there are cores) decode the same bytes with Pillow and do nothing else,
or make the same views and send nothing: the limits of anything that decodes, and crops and scales, whole images. The three are
timed in turns, from when all processes run; the figures are medians over rounds.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[1]))

from nmepkg.data import imagenet
from nmepkg.data.jpeg import resized_crop_flip
from nmepkg.data.stream import Stream, View, open_stream
from tests.data import photographs

BATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    jpegs = [photographs.jpeg(rng, 500, 375) for _ in range(arguments.images // 10)] * 10
    with tempfile.TemporaryDirectory() as folder:
        source = photographs.build(Path(folder), {photographs.synsets()[0]: jpegs}, jpegs[:1])
        arrays = imagenet.prepare(source, arguments.size, 2 * arguments.size, (len(jpegs), 1))
        stream = open_stream(source, arrays, arguments.size, 2 * arguments.size)
        print(
            f"{os.cpu_count()} cores, {sum(map(len, jpegs)) / len(jpegs) / 1e3:.0f} kB an image, views of {arguments.size}²"
        )
        titles = ("decoding /s", "views /s", "stream /s", "stream / decoding", "stream / views")
        print(f"{'workers':>8}" + "".join(f"{title:>20}" for title in titles))
        for workers in arguments.workers:
            measure(stream, jpegs, workers, arguments.rounds)


def measure(stream: Stream, jpegs: Sequence[bytes], workers: int, rounds: int) -> None:
    """Prints a line of the table."""
    view = partial(resized_crop_flip, size=stream.size, smallest_area=0.08, largest_aspect=4 / 3)
    steps, count = len(jpegs) // BATCH, workers or os.cpu_count() or 1
    executor: Executor
    processes = partial(ProcessPoolExecutor, mp_context=multiprocessing.get_context("spawn"))
    executor = processes(count) if workers else ThreadPoolExecutor(count)
    parts = [jpegs[i::count] for i in range(count)]
    rows = []
    with executor:
        for seed in range(rounds + 1):
            limits = []
            for work in (decode, partial(make_views, view)):
                began = time.perf_counter()
                list(executor.map(work, parts))
                limits.append(len(jpegs) / (time.perf_counter() - began))
            # A stream of its own in each round, which first fills what it keeps ready: that must not count.
            batches = stream.batches(np.arange(len(jpegs)), BATCH, seed, 0, 3 * steps, view, workers)
            for _ in range(steps):
                next(batches)
            began = time.perf_counter()
            for _ in range(steps, 2 * steps):
                next(batches)
            rate = steps * BATCH / (time.perf_counter() - began)
            batches.close()  # type: ignore[attr-defined]
            rows.append((*limits, rate, rate / limits[0], rate / limits[1]))
    decoding, views, rate, *ratios = (statistics.median(column) for column in zip(*rows[1:], strict=True))
    print(f"{workers:8}{decoding:20.0f}{views:20.0f}{rate:20.0f}" + "".join(f"{r:20.2f}" for r in ratios), flush=True)


def decode(jpegs: Sequence[bytes]) -> None:
    """What a worker does at least."""
    for jpeg in jpegs:
        Image.open(io.BytesIO(jpeg)).load()


def make_views(view: View, jpegs: Sequence[bytes]) -> None:
    """What a worker does but for reading and sending."""
    rng = np.random.default_rng(0)
    for jpeg in jpegs:
        view(jpeg, rng)


if __name__ == "__main__":
    main()
