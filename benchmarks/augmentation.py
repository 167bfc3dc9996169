"""What augmentation on the device takes of a step of WRN-28-10, batch 128 by default, on CIFAR-10's shape.

    python benchmarks/augmentation.py [--batch 128] [--rounds 5]

The step is SGD's. Augmentation is compiled by itself here, which costs more than as a part of the step, where it is one gather
in place of another.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from nmepkg import activations, losses
from nmepkg.data.augmentation import none, pad_crop_flip
from nmepkg.methods import sgd
from nmepkg.models.wide_resnet import WideResNet

EXAMPLES, CLASSES = 50_000, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    images = jax.device_put(np.random.default_rng(0).integers(0, 256, (EXAMPLES, 32, 32, 3), dtype=np.uint8))
    indices, key = jnp.arange(options.batch) * 97 % EXAMPLES, jax.random.key(0)
    model = WideResNet(CLASSES, activations.relu, depth=28, width=10)
    inputs, labels = jnp.zeros((options.batch, 32, 32, 3)), jnp.zeros(options.batch, jnp.int32)
    variables = jax.jit(partial(model.init, train=False))(key, inputs[:1])

    def logits_fn(params: object, x: jax.Array) -> tuple[jax.Array, object]:
        return model.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])  # type: ignore[return-value]

    programs = {
        "step": (
            jax.jit(lambda p: sgd()(logits_fn, losses.cross_entropy, p, (inputs, labels), key, 0.0)),
            variables["params"],
        ),
        "plain gather": (jax.jit(lambda x: none(x, indices, key)), images),
        "pad, crop, flip": (jax.jit(lambda x: pad_crop_flip(x, indices, key, padding=4, flip=True)), images),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(options.rounds + 1):  # the first round compiles
        for name, (program, argument) in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(argument))
            seconds[name].append(time.perf_counter() - start)
    step = statistics.median(seconds["step"][1:])
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}, batch {options.batch}")
    for name, times in seconds.items():
        median = statistics.median(times[1:])
        print(f"{name:20}{1e3 * median:10.2f} ms{100 * median / step:9.3f} % of a step")


if __name__ == "__main__":
    main()
