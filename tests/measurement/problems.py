"""The cases of tests.cases as problems to measure, on one batch and on two, and their dense matrices."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from nmepkg import activations
from nmepkg.measurement.problem import Problem
from tests import cases

KEY = jax.random.key(3)
ORACLES = {"H": cases.dense_hessian, "G": cases.dense_gauss_newton, "N": cases.dense_nme}


def make(name, batches=1):
    """(problem, [case of each batch]); the context is the empty dict."""
    case = cases.make(name)
    rng = np.random.default_rng(7)
    datasets = [case.batch]
    for _ in range(batches - 1):
        inputs, labels = rng.normal(size=case.batch[0].shape), rng.integers(cases.CLASSES, size=len(case.batch[1]))
        datasets.append((jnp.asarray(inputs), jnp.asarray(labels)))
    phi = activations.replace_second_derivative(cases.ACTIVATIONS[name[2]], activations.zero)
    _, ablated = cases.MODELS[name[0]](np.random.default_rng(0), phi)
    problem = Problem(
        logits_fn=lambda params, context, inputs: case.logits_fn(params, inputs)[0],
        ablated_logits_fn=lambda params, context, inputs: ablated(params, inputs),
        preactivations_fn=lambda params, context, inputs: [],
        activation=lambda context, x: cases.ACTIVATIONS[name[2]](x),
        loss_fn=case.loss_fn,
        batches=tuple(datasets),
    )
    return problem, [case._replace(batch=batch) for batch in datasets]


@functools.cache
def dense(part, name, batches=1):
    """The mean over batches of the dense H, G or N; in double precision, as every test that asks for it."""
    _, batch_cases = make(name, batches)
    matrix = np.mean([ORACLES[part](case) for case in batch_cases], axis=0)
    assert matrix.dtype == np.float64
    matrix.setflags(write=False)
    return matrix


def slices(params):
    """Layer -> its entries in the flat parameter vector, by walking dicts and lists by hand."""
    result, position = {}, 0

    def walk(node, path):
        nonlocal position
        children = sorted(node.items()) if isinstance(node, dict) else list(enumerate(node))
        for key, child in children:
            if isinstance(child, (dict, list)):
                walk(child, [*path, str(key)])
            else:
                entries = result.setdefault("/".join(path) or "/", [])
                entries.extend(range(position, position + child.size))
                position += child.size

    walk(params, [])
    return result
