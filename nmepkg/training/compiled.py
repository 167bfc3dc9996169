"""The compiled functions of a run, kept for the next run of the same shape in this process.

Tracing and lowering them takes longer than the steps of a small net do. A run of the same shape, with another seed, strength or
β, has the same functions, and so the same bits as it has alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax

from nmepkg.data.store import Scaling
from nmepkg.specs import Recipe, shape
from nmepkg.training.devices import Layout
from nmepkg.training.step import make_program


class Compiled(NamedTuple):
    """The functions of :class:`~nmepkg.training.step.Program`, compiled when first called."""

    init: Callable[..., Any]
    begin_epoch: Callable[..., Any]
    step: Callable[..., Any]
    evaluate: Callable[..., Any]


_kept: dict[str, Compiled] = {}  # of one shape, the last one's: those of others would fill the memory


def compiled(recipe: Recipe, classes: int, examples: int, scaling: Scaling | None, layout: Layout) -> Compiled:
    """Of a run; arguments are those of :func:`~nmepkg.training.step.make_program`."""
    numbers = None if scaling is None else [part.tolist() for part in scaling]
    key = repr((shape(recipe), classes, examples, numbers, layout))
    if key not in _kept:
        program = make_program(recipe, classes, examples, scaling, layout)
        _kept.clear()
        jit = partial(jax.jit, out_shardings=layout.everywhere)
        fixed = {"xla_gpu_deterministic_ops": True} if recipe.training.deterministic else {}
        _kept[key] = Compiled(
            jit(program.init, compiler_options=once() | fixed),
            jit(program.begin_epoch, donate_argnums=0, compiler_options=fixed),
            jit(program.step, donate_argnums=0, compiler_options=fixed),
            jit(program.evaluate, compiler_options=fixed),
        )
    return _kept[key]


def once() -> dict[str, int]:
    """How to compile what runs once a run, where ``XLA_FLAGS`` does not say it.

    Above level 2 LLVM unrolls the loops of random numbers: the initial parameters of a small ResNet then take 8 s to compile
    and not 3 s, with the same bits.
    """
    level = "xla_backend_optimization_level"
    return {} if level in os.environ.get("XLA_FLAGS", "") else {level: 2}
