"""Figures in every form that a study may ask for, of synthetic runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmepkg.analysis.curves import Curves
from tests.analysis.samples import GELU, RELU, SECOND, TRACES, Sample, figure

TITLES = {"mlp": "MLP on MNIST-1D", "resnet": "Residual network on MNIST-1D"}
SIGMA2 = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
BETA = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
STEPS = (50, 100, 200, 300, 400, 500)
PENALTIES = ("gn_trace", "hessian_trace", "weight_noise")
HUTCHINSON = ("gn_trace_hutchinson", "hessian_trace")


def penalties(store: Path, methods: tuple[str, ...] = PENALTIES, seeds: int = 5, **options: Any) -> Curves:
    """Figures 4 and 5: accuracy against σ²."""
    sample = Sample(store)
    for setup, method, activation, sigma2, seed in itertools.product(
        ("mlp", "resnet"), methods, (GELU, RELU), SIGMA2, range(seeds)
    ):
        fall = {"gn_trace": 0.02, "gn_trace_hutchinson": 0.05, "hessian_trace": 6.0, "weight_noise": 4.0}[method]
        accuracy: float | None = 0.62 + 0.01 * (sigma2 > 0) - fall * sigma2 + 0.004 * seed
        if method == "hessian_trace" and sigma2 >= 1e-2 and seed != 1:
            accuracy = None
        sample.add(
            accuracy,
            setup=setup, method=method, activation=activation, strength=sigma2, seed=seed, options=options,
        )  # fmt: skip
    return sample.collect(
        figure(x="sigma2", rows="setup", columns="activation", lines="method", title="Penalties of traces, and noise")
    )


def _traces(method: str, activation: Mapping[str, Any], step: int, seed: int) -> dict[str, float]:
    g = 40.0 * math.exp(-step / 250) * (1 + 0.15 * seed) + 3.0
    n = (-(3.0**seed) * 10 ** (step / 90) if method == "hessian_trace" else 0.3 * math.sin(step / 40 + seed)) - 2.0
    n = 0.0 if activation["name"] == "relu" else n
    return {"tr_H": g + n, "tr_G": g, "tr_N": n, "tr_H_se": 0.5, "tr_N_se": 0.4}


def trajectories(
    store: Path, y_scale: str = "symlog", at: tuple[Any, ...] = ("initial", *STEPS, "final"), x_scale: str = "linear"
) -> Curves:
    """Figure 6: traces along training under each penalty; with the Hessian's, GELU diverges, at last also in its first seed."""
    sample = Sample(store)
    measurement = {**TRACES, "at": list(at)}
    for method, activation, seed in itertools.product(("sgd", *PENALTIES), (GELU, RELU), range(5)):
        diverges = method == "hessian_trace" and activation is GELU
        last = (500 if seed == 0 else 150 + 60 * seed) if diverges else 10**9
        steps = {place: {"initial": 0, "final": 600}.get(place, place) for place in at}
        measured: dict[Any, Any] = {
            place: _traces(method, activation, step, seed) if step <= last else "not_reached"
            for place, step in steps.items()
        }
        if diverges:
            measured["final"] = None
        sample.add(
            None if diverges else 0.6,
            method=method, activation=activation, strength=0.0 if method == "sgd" else 1e-3, seed=seed,
            measured=measured, measurement=measurement,
        )  # fmt: skip
    return sample.collect(
        figure(
            measurement="traces", x="step", x_scale=x_scale, y=("tr_H", "tr_G", "tr_N"), y_scale=y_scale,
            rows="method", columns="activation", lines="quantity",
        )
    )  # fmt: skip


def sharpness(store: Path) -> Curves:
    """Figure 8: accuracy against β; SGD has no strength, PSAM one."""
    sample = Sample(store)
    for setup, method, beta, seed in itertools.product(("mlp", "resnet"), ("sgd", "psam"), BETA, range(5)):
        sample.add(
            0.62 - (0.04 * math.log10(beta) if method == "psam" else 0.0) + 0.004 * seed,
            setup=setup, method=method, activation={"name": "beta_gelu", "beta": beta},
            strength=0.1 if method == "psam" else 0.0, seed=seed, axes={"beta": beta},
        )  # fmt: skip
    return sample.collect(figure(x="beta", columns="setup", lines="method"))


def fractions(store: Path, **changes: Any) -> Curves:
    """Figure 9: units with a second derivative against β, at initialisation and after training."""
    sample = Sample(store)
    for setup, beta, seed in itertools.product(("mlp", "resnet"), BETA, range(5)):
        measured = {
            place: {"fraction_above": share / beta**0.3 + 0.003 * seed, "fraction_zero": 1 - 1.1 * share / beta**0.3}
            for place, share in (("initial", 0.9), ("final", 0.4))
        }
        sample.add(
            0.6,
            setup=setup, method="sgd", activation={"name": "beta_gelu", "beta": beta}, strength=0.0, seed=seed,
            axes={"beta": beta}, measured=measured, measurement=SECOND,
        )  # fmt: skip
    axes = {"y": ("fraction_above",), "columns": "setup", "lines": "at"}
    return sample.collect(figure(measurement="second_derivative", x="beta", **{**axes, **changes}))


def both_fractions(store: Path) -> Curves:
    return fractions(store, y=("fraction_above", "fraction_zero"), rows="setup", columns="at", lines="quantity")


def accuracies(store: Path) -> Curves:
    """Training and test accuracy, a panel each."""
    sample = Sample(store)
    for method, rho, seed in itertools.product(("sam", "psam"), (0.0, 0.01, 0.1, 1.0), range(3)):
        sample.add(0.7 - 0.1 * rho + 0.01 * seed, method=method, strength=rho, seed=seed)
    return sample.collect(figure(y=("train_accuracy", "test_accuracy"), columns="quantity", lines="method"))


def explosion(store: Path, y_scale: str = "symlog") -> Curves:
    """Traces after training against σ²: huge, of both signs, and all diverged in one line."""
    sample = Sample(store)
    for method, sigma2, seed in itertools.product(PENALTIES, SIGMA2, range(3)):
        huge = -1e12 * (seed + 1) * sigma2 * 10 if method == "hessian_trace" and sigma2 >= 1e-2 else 120.0 + 5 * seed
        final = {"tr_H": huge, "tr_G": abs(huge), "tr_N": huge - abs(huge)}
        lost = sigma2 > 0 and method == "weight_noise"
        measured = {"initial": {"tr_H": 90.0 + seed, "tr_G": 95.0, "tr_N": None}, 100: final, "final": final}
        if lost:
            measured |= {100: None, "final": "not_reached"}
        sample.add(None if lost else 0.5, method=method, strength=sigma2, seed=seed, measured=measured)
    return sample.collect(
        figure(measurement="traces", x="sigma2", y=("tr_H",), y_scale=y_scale, lines="method", columns="at")
    )


def lost(store: Path) -> Curves:
    """A measurement that no run of a line has a number of: not finite, or a null among finite numbers."""
    sample = Sample(store)
    for sigma2, seed in itertools.product((0.0, 1e-3, 1e-2, 1e-1), range(2)):
        sample.add(
            None, method="nme_trace", strength=sigma2, seed=seed, measurement={**TRACES, "at": ["final"]},
            measured={"final": {"tr_H": None, "tr_G": 3.0, "tr_N": None} if seed else None},
        )  # fmt: skip
    return sample.collect(figure(measurement="traces", x="sigma2", y=("tr_N",), y_scale="symlog"))


def at_strengths(store: Path) -> Curves:
    """Traces against σ², lines by quantity: three baselines of one run."""
    sample = Sample(store)
    for sigma2, seed in itertools.product(SIGMA2, range(3)):
        final = {"tr_H": 20.0 + seed - 30 * sigma2, "tr_G": 22.0 + seed, "tr_N": -2.0 - 30 * sigma2}
        sample.add(
            0.5, method="hessian_trace", strength=sigma2, seed=seed,
            measured={"final": final}, measurement={**TRACES, "at": ["final"]},
        )  # fmt: skip
    return sample.collect(figure(measurement="traces", x="sigma2", y=("tr_H", "tr_G", "tr_N"), lines="quantity"))
