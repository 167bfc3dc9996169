"""One compiled step against a loop by hand, the baseline in every method, and what is traced."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.losses import cross_entropy
from nmepkg.models.mlp import MLP
from nmepkg.registry import METHODS, OPTIMIZERS
from nmepkg.specs import recipe, shape
from nmepkg.training.grouping import in_groups, in_parts
from nmepkg.training.step import make_program
from tests.training.recurrences import RECURRENCES
from tests.training.runs import CLASSES, adamw, dataset, make_spec, method, quick_jit, start

close = partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6)


# By shape: specs that differ in numbers alone, which are arguments, share what is compiled.
steps: dict[str, Any] = {}


def train_steps(spec: dict[str, Any], count: int = 3) -> tuple[Any, Any]:
    """The state at the beginning of the first epoch and after some steps."""
    program, begun, hyper = start(spec, dataset())
    step, state = steps.setdefault(repr(shape(recipe(spec))), quick_jit(program.step)), begun
    for _ in range(count):
        state = step(state, hyper, dataset().train)
    return begun, state


SGD = make_spec(optimizer={"momentum": 0.8, "weight_decay": 0.01})["optimizer"]


@pytest.mark.parametrize("variant", [{}, {"nesterov": False, "decayed": "kernels", "clip_norm": 0.3}])
@pytest.mark.parametrize("optimizer", [SGD, adamw(eps=1e-3)], ids=lambda optimizer: optimizer["name"])
def test_steps_against_a_loop_by_hand(optimizer: dict[str, Any], variant: dict[str, Any]) -> None:
    """Three batches of the first epoch: model, loss and jax.grad from the library, everything else in NumPy.

    ε is not small beside gradients that are nothing but rounding, of which Adam would make steps.
    """
    options = {**optimizer, **variant}
    begun, state = train_steps({**make_spec(), "optimizer": options})
    peak, warmup = options["learning_rate"], 3  # 27 examples in batches of 8: an epoch of 3 steps of warm-up
    by_hand = partial(
        RECURRENCES[options["name"]], **{key: options[key] for key in OPTIMIZERS[options["name"]].options}
    )
    model = MLP(CLASSES, activations.gelu, 4, 1, True)
    inputs, labels = dataset().train

    @quick_jit
    def gradient(params: Any, stats: Any, x: Any, y: Any) -> Any:
        def objective(params: Any) -> tuple[Any, Any]:
            logits, updates = model.apply({"params": params, "batch_stats": stats}, x, True, mutable=["batch_stats"])
            return cross_entropy(logits, y), updates["batch_stats"]

        return jax.value_and_grad(objective, has_aux=True)(params)

    params, stats, order = jax.tree.map(np.asarray, (begun.params, begun.batch_stats, begun.order))
    leaves, structure = jax.tree.flatten(params)
    memory: list[dict[str, Any]] = [{} for _ in leaves]
    total = 0.0
    for step in range(3):
        batch = order[8 * step : 8 * step + 8]
        (loss, stats), g = gradient(jax.tree.unflatten(structure, leaves), stats, inputs[batch], labels[batch])
        total += float(loss)
        directions = [np.asarray(d) for d in jax.tree.leaves(g)]
        if options["clip_norm"]:
            length = np.sqrt(sum((d**2).sum() for d in directions))
            assert length > options["clip_norm"]  # or the option would not show
            directions = [d * options["clip_norm"] / length for d in directions]
        for i, (d, leaf) in enumerate(zip(directions, leaves, strict=True)):
            decay = options["weight_decay"] * leaf if options["decayed"] == "all" or leaf.ndim > 1 else 0.0
            leaves[i] = leaf - peak * (1 + 2 * step / warmup) / 3 * by_hand(memory[i], d, decay, step + 1)

    jax.tree.map(close, state.params, jax.tree.unflatten(structure, leaves))
    jax.tree.map(close, state.batch_stats, stats)
    close(state.loss, total)
    assert int(state.step) == 3


BASELINES = {"sgd": make_spec()["optimizer"], "adamw": adamw(eps=1e-3)}


@pytest.fixture(scope="module")
def baselines() -> Any:
    return {name: train_steps({**make_spec(), "optimizer": options})[1] for name, options in BASELINES.items()}


@pytest.fixture(scope="module")
def finite_difference() -> Any:
    return train_steps(make_spec(method=method("psam_fd", 0.2)), 1)[1].params


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if name != "sgd" and not entry.per_example])
@pytest.mark.parametrize("optimizer", BASELINES)
def test_every_method_at_strength_0_is_the_optimiser_alone(name: str, optimizer: str, baselines: Any) -> None:
    _, state = train_steps({**make_spec(method=method(name, 0.0)), "optimizer": BASELINES[optimizer]})
    baseline = baselines[optimizer]
    jax.tree.map(close, (state.params, state.batch_stats, state.loss), tuple(baseline[i] for i in (0, 1, 6)))


def test_groups_of_one_batch_change_nothing_and_smaller_ones_do() -> None:
    """`m` reaches the method: BatchNorm and the perturbation see other examples."""
    psam = method("psam", 0.2)
    whole, same, halves = (train_steps(make_spec(method=psam | {"m": m}), 1)[1].params for m in (None, 8, 4))
    jax.tree.map(close, same, whole)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(*map(jax.tree.leaves, (halves, whole)), strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_in_parts_changes_nothing(name: str) -> None:
    """Not what is perturbed, penalised or drawn: of any method, with whole groups that BatchNorm normalises where it may."""
    group = None if METHODS[name].per_example else 4
    spec = {"model": {"batch_norm": group is not None}, "method": method(name, 0.1)}
    whole, parts = (
        train_steps(make_spec(**spec, training={"batch_norm_group": group, "accumulate": count}), 1)[1]
        for count in (1, 2)
    )
    # Up to rounding, which a short step of finite differences, and BatchNorm of four examples, make more of.
    near = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(near, parts._replace(key=0), whole._replace(key=0))


@pytest.mark.parametrize("m", [2, 8])
def test_groups_of_a_method_are_not_those_of_memory(m: int) -> None:
    spec = {"model": {"batch_norm": False}, "method": method("psam", 0.2) | {"m": m}}
    whole, parts = (train_steps(make_spec(**spec, training={"accumulate": count}), 1)[1] for count in (1, 2))
    jax.tree.map(close, parts._replace(key=0), whole._replace(key=0))


@pytest.mark.parametrize("name", ["sgd", "psam", "gn_trace"])
def test_a_batch_in_parts_takes_the_memory_of_one(name: str) -> None:
    def memory(parts: int) -> int:
        spec = make_spec(
            model={"batch_norm": False, "depth": 8, "width": 32},
            method=method(name, 0.1),
            training={"batch_size": 24, "accumulate": parts},
        )
        program, state, hyper = start(spec, dataset())
        compiled = jax.jit(program.step).lower(state, hyper, dataset().train).compile()
        return int(compiled.memory_analysis().temp_size_in_bytes)

    assert memory(12) < memory(1) / 2


def test_parts_that_do_not_divide_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="parts of 4 examples do not divide a batch of 6"):
        in_parts(lambda params, x: (x, {}), 4)(1.0, np.ones(6))


def test_batch_norm_in_groups_is_the_mean_of_models_on_groups() -> None:
    """Logits of each group by itself, one gradient of their loss; running averages are those of groups, averaged."""
    spec = make_spec(training={"batch_norm_group": 4}, optimizer={"weight_decay": 0.0, "momentum": 0.0})
    begun, state = train_steps(spec, 1)
    order = np.asarray(begun.order)[:8]
    x, y = (part[order] for part in dataset().train)
    model = MLP(CLASSES, activations.gelu, 4, 1, True)

    def objective(params: Any) -> tuple[Any, Any]:
        variables = {"params": params, "batch_stats": begun.batch_stats}
        halves = [model.apply(variables, half, True, mutable=["batch_stats"]) for half in (x[:4], x[4:])]
        loss = sum(cross_entropy(z, t) for (z, _), t in zip(halves, (y[:4], y[4:]), strict=True)) / 2
        return loss, [updates["batch_stats"] for _, updates in halves]

    gradient, (first, second) = quick_jit(jax.grad(objective, has_aux=True))(begun.params)
    rate = 0.1 / 3  # which warm-up begins at
    # Nesterov's momentum of 0 is SGD.
    jax.tree.map(lambda new, old, g: close(new, old - rate * g), state.params, begun.params, gradient)
    jax.tree.map(lambda new, a, b: close(new, (a + b) / 2), state.batch_stats, first, second)


@pytest.mark.parametrize("loss", [{"name": "cross_entropy", "label_smoothing": 0.3}, {"name": "mse"}])
def test_evaluations_are_of_the_labels_themselves(loss: dict[str, Any]) -> None:
    """Whatever the training smooths: −log p of the labels, by NumPy in double precision."""
    spec = make_spec() | {"loss": loss}
    program, state, hyper = start(spec, dataset())
    x, y = dataset().train
    members = np.ones((len(y), 1), bool)
    found, _ = quick_jit(program.evaluate)(state, hyper, (x, y), members)
    model = MLP(CLASSES, activations.gelu, 4, 1, True)
    z = np.asarray(model.apply({"params": state.params, "batch_stats": state.batch_stats}, x, False), float)
    one_hot = np.eye(CLASSES)[y]
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    exact = -(one_hot * log_p).sum() if loss["name"] == "cross_entropy" else 0.5 * np.square(z - one_hot).sum()
    np.testing.assert_allclose(float(found[0]), exact, rtol=1e-5)


def test_groups_of_a_model_of_named_inputs_two_heads_and_a_state_of_any_kind() -> None:
    x, key = np.arange(24.0).reshape(6, 4), jax.random.key(1)

    def apply(params: Any, inputs: Any) -> tuple[Any, Any]:
        whole = inputs["a"] + inputs["b"]
        centred = whole - whole.mean(0)
        state = {"mean": whole.mean(), "count": jax.numpy.int32(3), "on": jax.numpy.bool_(True), "key": key}
        return (params * centred, {"tokens": centred[:, :, None] * jax.numpy.ones(2)}), state

    (first, second), state = in_groups(apply, 2)(2.0, {"a": x, "b": x})
    halves = (2 * x).reshape(3, 2, 4)
    expected = (halves - halves.mean(axis=1, keepdims=True)).reshape(6, 4)
    close(first, 2 * expected)
    close(second["tokens"], np.repeat(expected[:, :, None], 2, axis=2))
    close(state["mean"], (2 * x).mean())
    assert (int(state["count"]), state["count"].dtype, state["on"].dtype) == (3, np.int32, np.bool_)
    assert state["key"] == key
    with pytest.raises(ValueError, match="groups of 4 examples do not divide a batch of 6"):
        in_groups(apply, 4)(2.0, {"a": x, "b": x})


def test_half_precision_is_that_of_the_model_alone() -> None:
    """Parameters, momentum, running averages and losses stay in single precision; numbers differ as bfloat16 rounds."""
    _, single = train_steps(make_spec(method=method("psam", 0.1)))
    _, half = train_steps(make_spec(method=method("psam", 0.1), training={"precision": "bfloat16"}))
    for a, b in zip(jax.tree.leaves(single._replace(key=0)), jax.tree.leaves(half._replace(key=0)), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
    np.testing.assert_allclose(half.loss, single.loss, rtol=0.02)
    assert float(half.loss) != float(single.loss)


@pytest.mark.parametrize(
    "change",
    [{"loss": {"label_smoothing": 0.3}}, {"method": method("psam_fd", 0.2) | {"step": 0.5}}, {"seed": 1}],
    ids=["loss", "method", "seed"],
)
def test_options_of_the_spec_are_heard(change: dict[str, Any], finite_difference: Any) -> None:
    other = train_steps(make_spec(**({"method": method("psam_fd", 0.2)} | change)), 1)[1].params
    assert any(
        np.abs(a - b).max() > 1e-5 for a, b in zip(*map(jax.tree.leaves, (finite_difference, other)), strict=True)
    )


def lowered(**changes: Any) -> Iterator[str]:
    """What is compiled for a spec, as texts: the step, initialisation and evaluation."""
    spec = make_spec(
        activation={"name": "beta_gelu", "beta": 2.0, "second_derivative": None},
        method=method("psam", 0.1),
        optimizer={"clip_norm": 1.0},
    )
    for key, value in changes.items():
        spec[key] = {**spec[key], **value} if isinstance(value, dict) else value
    data = dataset()
    program, state, hyper = make_program(recipe(spec), CLASSES, 27), *start(spec, data)[1:]
    members = np.ones((27, 3), bool)
    for function, arguments in (
        (program.step, (state, hyper, data.train)),
        (program.init, (np.uint32(spec["seed"]), hyper, data.example)),
        (program.begin_epoch, (state,)),
        (program.evaluate, (state, hyper, data.train, members)),
    ):
        yield jax.jit(function).lower(*arguments).as_text()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(lowered())


TRACED: dict[str, dict[str, Any]] = {
    "strength": {"method": {"strength": 0.7}},
    "beta": {"activation": {"beta": 5.0}},
    "learning rate": {"optimizer": {"learning_rate": 0.5}},
    "momentum": {"optimizer": {"momentum": 0.5}},
    "weight decay": {"optimizer": {"weight_decay": 0.0}},
    "clipping norm": {"optimizer": {"clip_norm": 3.0}},
    "warm-up": {"optimizer": {"warmup_epochs": 0.0, "warmup_from": 0.5}},
    "reference batch": {"optimizer": {"reference_batch_size": 4}},
    "epochs": {"training": {"epochs": 7, "evaluate_every": 1}},
    "seed": {"seed": 4},
}
STATIC: dict[str, dict[str, Any]] = {
    "width": {"model": {"width": 5}},
    "method": {"method": {"name": "psam_gn"}},
    "batch size": {"training": {"batch_size": 9}},
    "clipping": {"optimizer": {"clip_norm": None}},
    "decayed": {"optimizer": {"decayed": "kernels"}},
    "accumulation": {"training": {"accumulate": 2}},
    "groups": {"training": {"batch_norm_group": 4}},
    "precision": {"training": {"precision": "bfloat16"}},
    "precision of products": {"training": {"matmul_precision": "tensorfloat32"}},
    "nesterov": {"optimizer": {"nesterov": False}},
    "decay in the loss": {"optimizer": {"decay_in_loss": True}},
}


@pytest.mark.parametrize("name", TRACED)
def test_a_grid_over_numbers_compiles_once(name: str, texts: list[str]) -> None:
    assert list(lowered(**TRACED[name])) == texts


def test_products_have_the_precision_of_the_study_alone(texts: list[str]) -> None:
    """Whatever the caller's is; those of derivatives too, and lengths in full."""
    with jax.default_matmul_precision("bfloat16"):
        assert next(lowered()) == texts[0]
    step, *_, evaluation = lowered(**STATIC["precision of products"])
    for text in (step, evaluation):
        products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
        matrices = [line for line in products if not line.endswith("-> tensor<f32>")]
        assert matrices
        assert all("precision = [HIGH, HIGH]" in line for line in matrices)
        assert all("precision = [HIGHEST, HIGHEST]" in line for line in products if line not in matrices)


@pytest.mark.parametrize("name", STATIC)
def test_what_changes_the_program_is_compiled_anew(name: str, texts: list[str]) -> None:
    assert any(changed != text for changed, text in zip(lowered(**STATIC[name]), texts, strict=True))
