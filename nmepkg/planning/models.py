"""Models that are too large for what is to be measured of them, found out before anything is trained.

Parameters are counted in a process of its own, as planning itself starts no JAX.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from nmepkg import specs, surroundings
from nmepkg.errors import UserError
from nmepkg.planning.plan import Plan
from nmepkg.records import to_json
from nmepkg.runs.fingerprint import PACKAGE
from nmepkg.study.setups import classes, data_shape
from nmepkg.study.sizes import parameters
from nmepkg.study.spec import Spec

_PATIENCE = 120.0  # seconds


def refuse_too_large(plan: Plan, measurements: Iterable[str]) -> None:
    """Refuses measurements whose ``max_parameters`` are fewer than their models have.

    Args:
      measurements: ids. Of models whose parameters are easily counted the loader has refused them already.

    Raises:
      UserError: names the measured run, the kind of measurement, both numbers and the remedy.
    """
    jobs = [plan.expansion.measurements[id] for id in measurements]
    limited = [job for job in jobs if "max_parameters" in job.spec]
    models = {job.id: model for job in limited if (model := _uncounted(plan.run(str(job.run)).spec))}
    distinct = {to_json(model): model for model in models.values()}
    if not distinct:
        return
    counts = dict(zip(distinct, _count(list(distinct.values())), strict=True))
    for job in limited:
        most, held = job.spec["max_parameters"], counts[to_json(models[job.id])] if job.id in models else 0
        if held > most:
            raise UserError(
                f"{plan.study.path}: measurements: the model of {job.run} has {held} parameters, more than max_parameters of "
                f"{job.spec['kind']}, {most}; raise it, or measure a smaller model"
            )


def _uncounted(spec: Spec) -> dict[str, Any] | None:
    """What decides how many parameters a run's model has; None if they are easily counted."""
    shape, outputs = data_shape(spec["data"]), classes(spec["data"])
    if parameters(spec["model"], shape, outputs) is not None:
        return None
    return {"model": spec["model"], "shape": list(shape), "classes": outputs}


def _count(specs: list[dict[str, Any]]) -> list[int]:
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from nmepkg.planning import models; models.main()"],
            cwd=PACKAGE.parent,
            env={**surroundings.of_jobs(), "JAX_PLATFORMS": "cpu"},
            input=json.dumps(specs),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise UserError(
            f"the parameters of models could not be counted ({error}); run: python -m nmepkg doctor"
        ) from None
    return list(json.loads(done.stdout))


def main() -> None:
    """Reads specs as JSON and prints the number of parameters of each one's model."""
    import jax
    import jax.numpy as jnp

    from nmepkg.registry import MODELS

    def count(spec: dict[str, Any]) -> int:
        chosen = specs.choice(spec["model"])
        model = MODELS[chosen.name].load()(classes=spec["classes"], activation=jax.nn.relu, **chosen.options)
        variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((2, *spec["shape"])), train=False))
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))

    print(json.dumps([count(spec) for spec in json.load(sys.stdin)]))
