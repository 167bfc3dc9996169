"""What makes two runs one run, and what tells them apart."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nmepkg.records import digest, to_json
from nmepkg.registry import AUGMENTATIONS, DATASETS
from nmepkg.runs.expand import expand
from nmepkg.runs.identity import code_hash, data_id, figure_targets, label, run_id, run_targets
from nmepkg.study.canonical import canonical
from tests.study.samples import study

ROOT = Path(__file__).resolve().parents[2]

# Every part of a spec that is no default, so that each can change.
SPEC: dict[str, Any] = {
    "data": {"name": "mnist1d", "seed": 42, "samples": 200},
    "validation": {"fraction": 0.1, "seed": 0},
    "subset": {"train": 100, "test": 20},
    "label_noise": {"fraction": 0.2, "seed": 0},
    "augmentation": {"name": "none"},
    "model": {"name": "resnet1d", "width": 4, "blocks": [1, 2], "kernel_size": 3},
    "activation": {"name": "beta_gelu", "beta": 10.0, "second_derivative": {"name": "gaussian", "beta": 100.0}},
    "loss": {"name": "cross_entropy", "label_smoothing": 0.1},
    "method": {"name": "gradient_penalty", "strength": 0.1, "m": 8, "p": 2.0},
    "optimizer": {
        "name": "sgd",
        "learning_rate": 0.1,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-4,
        "decayed": "all",
        "decay_in_loss": False,
        "reference_batch_size": 256,
        "warmup_epochs": 1.0,
        "warmup_from": 0.5,
        "clip_norm": 1.0,
    },
    "training": {
        "epochs": 2,
        "batch_size": 16,
        "accumulate": 2,
        "batch_norm_group": 4,
        "precision": "float32",
        "matmul_precision": "float32",
        "deterministic": False,
        "evaluate_every": 1,
        "evaluate_last": 2,
        "evaluate_train": 50,
    },
    "seed": 0,
}


def identity(spec: dict[str, Any]) -> str:
    spec = canonical(spec)
    return run_id(spec, code_hash(run_targets(spec)), data_id(spec["data"]))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of the numbers and switches of a spec."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        if isinstance(part, int | float):
            yield (*path, key)
        yield from leaves(part, (*path, key))


def changed(path: tuple[Any, ...], change: Callable[[Any], Any]) -> dict[str, Any]:
    """The spec with one part replaced by what ``change`` makes of it."""
    spec = copy.deepcopy(SPEC)
    place: Any = spec
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = change(place[path[-1]])
    return spec


def replaced(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    return changed(path, lambda _: value)


@pytest.mark.parametrize("path", list(leaves(SPEC)), ids=lambda path: ".".join(map(str, path)))
def test_every_number_and_seed_is_part_of_a_run(path: tuple[Any, ...]) -> None:
    assert identity(changed(path, lambda old: not old if isinstance(old, bool) else old + 1)) != identity(SPEC)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model",), {"name": "mlp", "width": 4, "depth": 1, "batch_norm": False}),
        (("activation",), {"name": "gelu", "second_derivative": None}),
        (("activation", "second_derivative"), None),
        (("activation", "second_derivative"), {"name": "gaussian_listing", "beta": 100.0}),
        (("loss",), {"name": "mse"}),
        (("method", "m"), None),
        (("method", "name"), "psam"),
        (("optimizer", "decayed"), "kernels"),
        (("optimizer", "reference_batch_size"), None),
        (("augmentation",), {"name": "pad_crop_flip", "padding": 4, "flip": True}),
        (("subset", "train"), None),
        (("training", "precision"), "bfloat16"),
        (("training", "matmul_precision"), "tensorfloat32"),
        (("training", "batch_norm_group"), None),
        (("optimizer", "clip_norm"), None),
        (("model", "blocks"), [2, 1]),
    ],
)
def test_every_choice_is_part_of_a_run(path: tuple[Any, ...], value: Any) -> None:
    assert identity(replaced(path, value)) != identity(SPEC)


def test_where_no_label_is_wrong_their_seed_does_not_matter() -> None:
    none, other = (replaced(("label_noise",), {"fraction": 0.0, "seed": seed}) for seed in (0, 1))
    assert identity(none) == identity(other) != identity(SPEC)


def test_the_code_is_part_of_a_run_and_the_data_too() -> None:
    spec, data = canonical(SPEC), data_id(SPEC["data"])
    code = code_hash(run_targets(spec))
    assert len({run_id(spec, code, data), run_id(spec, code[::-1], data), run_id(spec, code, f"{data}0")}) == 3


def test_augmentation_and_what_reads_data_are_code_of_a_run() -> None:
    def targets(data: str, augmentation: str) -> list[str]:
        return run_targets({**SPEC, "data": {"name": data}, "augmentation": {"name": augmentation}})

    assert AUGMENTATIONS["pad_crop_flip"].target in targets("cifar10", "pad_crop_flip")
    assert DATASETS["cifar10"].target not in targets("cifar10", "none"), "what is prepared is known by the data's id"
    for data in ("cifar10", "imagenet2012"):
        assert {DATASETS[data].reader, DATASETS[data].feed} <= set(targets(data, "none"))


def test_the_order_of_keys_is_not_part_of_a_run() -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    assert list(turned(SPEC)) != list(SPEC)
    assert identity(turned(SPEC)) == identity(SPEC)


def test_equal_numbers_are_equal_however_written(tmp_path: Path) -> None:
    def ids(strength: str, epochs: str) -> list[str]:
        edits = (("[0, 0.1]", f"[{strength}]"), ("epochs: 1", f"epochs: {epochs}"))
        return list(expand(study(tmp_path, *edits)).runs)

    assert ids("1e-3", "1") == ids("0.001", "1") == ids("1.0E-3", "1.0") == ids(".001", "01")
    assert ids("1e-3", "1") != ids("1.1e-3", "1")


def test_strength_0_loses_the_methods_name_and_options() -> None:
    spec = canonical(replaced(("method", "strength"), 0.0))
    assert spec["method"] == {"name": "sgd", "strength": 0.0}
    assert spec["activation"] == {"name": "beta_gelu", "beta": 10.0, "second_derivative": None}
    assert SPEC["method"]["name"] == "gradient_penalty", "the spec given is left alone"
    assert canonical(spec) == spec


@pytest.mark.parametrize(
    ("m", "group", "model", "kept"),
    [
        (4, None, {"name": "mlp", "width": 4, "depth": 1, "batch_norm": True}, 4),
        (4, 2, {"name": "mlp", "width": 4, "depth": 1, "batch_norm": True}, 2),
        (16, None, {"name": "mlp", "width": 4, "depth": 1, "batch_norm": True}, None),  # all of a batch
        (4, None, {"name": "mlp", "width": 4, "depth": 1, "batch_norm": False}, None),
        (None, None, {"name": "mlp", "width": 4, "depth": 1, "batch_norm": True}, None),
    ],
)
def test_at_strength_0_groups_are_those_of_batch_norm(m: Any, group: Any, model: dict[str, Any], kept: Any) -> None:
    method = {"name": "psam", "strength": 0.0, "m": m}
    training = {**SPEC["training"], "batch_norm_group": group}
    spec = canonical({**SPEC, "method": method, "training": training, "model": model})
    assert spec["method"] == {"name": "sgd", "strength": 0.0}
    assert spec["training"] == {**training, "batch_norm_group": kept}
    assert canonical(spec) == spec


def test_second_derivatives_stay_where_a_method_takes_them() -> None:
    assert canonical(SPEC) == SPEC
    first_order = canonical(replaced(("method",), {"name": "sam", "strength": 0.1, "m": 8}))
    assert first_order["activation"]["second_derivative"] is None
    assert first_order["activation"]["beta"] == 10.0


def test_a_label_says_what_a_run_is() -> None:
    assert label(SPEC) == "mnist1d-resnet1d-gradient_penalty-0.1-beta_gelu10-gaussian-s0"
    assert label(canonical(replaced(("method", "strength"), 0.0))) == "mnist1d-resnet1d-sgd-beta_gelu10-s0"
    adamw = {**SPEC["optimizer"], "name": "adamw"}
    assert label({**SPEC, "optimizer": adamw}) == "mnist1d-resnet1d-adamw-gradient_penalty-0.1-beta_gelu10-gaussian-s0"
    assert re.fullmatch(rf"{re.escape(label(SPEC))}-[0-9a-f]{{12}}", identity(SPEC))


def test_a_value_that_is_no_json_has_no_digest() -> None:
    assert to_json({"b": 1, "a": [1.0, None, True]}) == '{"a":[1.0,null,true],"b":1}'
    assert digest([1]) != digest([1.0]), "a canonical spec holds numbers of their declared type"
    with pytest.raises(ValueError, match="JSON"):
        to_json(float("nan"))


def test_a_figures_code_needs_a_kind_there_is() -> None:
    with pytest.raises(KeyError):
        figure_targets("no_such_kind")


SCRIPT = """
import sys
from pathlib import Path
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
print(*sorted(expand(load(Path(sys.argv[1]))).runs), sep="\\n")
"""


def test_an_edited_module_changes_the_runs_that_use_it(tmp_path: Path) -> None:
    """On a copy of the package: one edit at a time, undone before the next."""
    shutil.copytree(ROOT / "nmepkg", tmp_path / "nmepkg", ignore=shutil.ignore_patterns("__pycache__"))
    study(tmp_path, ("[gelu, relu]", "[gelu]"), ("seeds: [0, 1]", "seeds: [0]"))

    def runs() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "study.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return set(done.stdout.split())

    before = runs()
    assert {run.split("-")[2] for run in before} == {"sgd", "sam", "psam"}
    code, comment = "\nNEW = 1\n", "\n# A comment.\n"
    for module, addition, methods in [
        ("methods/sharpness_aware.py", comment, set()),
        ("methods/sharpness_aware.py", code, {"sam"}),
        ("methods/gradient_descent.py", code, {"sgd"}),
        ("methods/gradient_penalties.py", code, {"psam"}),
        ("models/mlp.py", code, {"sgd", "sam", "psam"}),
        ("models/resnet1d.py", code, set()),
        ("training/loop.py", code, {"sgd", "sam", "psam"}),
        ("training/progress.py", code, set()),
        ("analysis/render.py", code, set()),
        ("data/mnist1d.py", code, {"sgd", "sam", "psam"}),
        ("registry.py", code, set()),
    ]:
        path = tmp_path / "nmepkg" / module
        text = path.read_text(encoding="utf-8")
        path.write_text(text + addition, encoding="utf-8")
        assert {run.split("-")[2] for run in runs() - before} == methods, module
        path.write_text(text, encoding="utf-8")
    assert runs() == before
