"""No number that the shell decides. Variables are those of the libraries' own lists: those of a next version are tried too."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flax
import jax
import pytest

from nmepkg import numerics, surroundings

ROOT = Path(__file__).parents[1]

# A job in small, begun as the scripts begin: draws of every kind, sampled labels, a training, what is recorded of it.
JOB = """
import json, sys
sys.path.insert(0, "workflow/scripts")
import job
from nmepkg import gpus
gpus.claim(0)
gpus.check(0)
import jax, jax.numpy as jnp
from nmepkg.training import loop, provenance
from nmepkg.specs import recipe
from tests.training.runs import dataset, make_spec, method
changes = [{"method": method("gn_trace", 0.1)}, {"method": method("hessian_trace", 0.01) | {"probe": "rademacher"}}]
for setting in sys.argv[1:]:
    if setting == "-":  # no numbers
        changes.clear()
    else:
        name, _, value = setting.partition("=")
        jax.config.update(name, json.loads(value))
rows = [
    loop.train(recipe(make_spec(training={"epochs": 1}, **change)), dataset(), lambda *_: None, lambda *_: None).history
    for change in changes
]
known = provenance.environment()
print(json.dumps([rows, {key: known[key] for key in ("threads", "variables")}]))
"""


SAID = {"JAX_LOG_COMPILES": "1", "JAX_EXPLAIN_CACHE_MISSES": "1", "JAX_TRACEBACK_FILTERING": "off"}
PLACES = {"JAX_LOGGING_LEVEL": "ERROR", "JAX_PLATFORMS": "cpu", "JAX_PROCESS_ID": "3"}


def start(*settings: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", JOB, *settings], cwd=ROOT, env=environment, **pipes)


def answer(process: subprocess.Popen[str]) -> tuple[Any, dict[str, Any]]:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    numbers, known = json.loads(output)
    return numbers, known


@pytest.fixture(scope="module")
def plain() -> tuple[Any, dict[str, Any]]:
    return answer(start())


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], tuple[Any, dict[str, Any]]]:
    """What is left out of a job that has everything set that is to change nothing, and what the job says."""
    names = surroundings.left_out(listed())
    dumped = {"JAX_DUMP_IR_TO": str(tmp_path_factory.mktemp("dump"))}
    return names, answer(start(**dict.fromkeys(names, "rbg"), **SAID, **PLACES, **dumped))


def listed() -> set[str]:
    """The variables that JAX and Flax say they read, and those that the sources of other libraries ask for."""
    names = {name.upper() for name in [*jax.config.values, *flax.config._values]}
    asks = re.compile(r"""(?:environ(?:\.get|\.setdefault|\.pop)?[(\[]|getenv\() *['"]([A-Z][A-Z0-9_]+)['"]""")
    for package in ("jax", "flax", "numpy", "matplotlib"):
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations
        for path in Path(spec.submodule_search_locations[0]).rglob("*.py"):
            if "tests" not in path.parts and "testing" not in path.parts:
                names.update(asks.findall(path.read_text(encoding="utf-8", errors="replace")))
    return names


def test_every_variable_that_is_left_out_changes_nothing(plain: Any, strange: Any) -> None:
    """All at once, with words that a library that read them would stumble over or compute otherwise by."""
    names, answered = strange
    assert {"JAX_DEFAULT_PRNG_IMPL", "JAX_ENABLE_X64", "FLAX_ARRAY_REF", "MPLBACKEND", "CHECK_VMA"} <= set(names)
    assert answered == plain


def test_every_setting_of_jax_and_flax_has_a_place() -> None:
    """A setting of their next version is left out, unless somebody decides that it may be set."""
    settings = {name.upper() for name in [*jax.config.values, *flax.config._values]}
    kept = settings - set(surroundings.left_out(settings))
    assert kept == {
        name for name in kept if surroundings._RECORDED.fullmatch(name) or surroundings._HARMLESS.fullmatch(name)
    }


def test_what_says_and_logs_changes_nothing(plain: Any, strange: Any) -> None:
    names, answered = strange
    assert not {*SAID, *PLACES} & set(names)  # or they would not be set where numbers are computed
    assert answered == plain


def test_what_a_user_may_set_is_recorded(plain: Any) -> None:
    """Whether it changes a number here or not."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_cpu_enable_fast_math=true"
    _, known = answer(start("-", XLA_FLAGS=flags, NVIDIA_TF32_OVERRIDE="0", NPROC="2"))
    assert known["threads"] == 2
    chosen = f"{flags} --xla_cpu_experimental_ynn_fusion_type=reduce"
    assert f"XLA_FLAGS={chosen}" in shlex.split(known["variables"])
    assert "NVIDIA_TF32_OVERRIDE=0" in shlex.split(known["variables"])
    assert all(known[key] != value for key, value in plain[1].items())


@pytest.mark.parametrize(
    ("set_by_user", "jaxlib", "chosen"),
    [
        (None, "0.10.2", "--xla_cpu_experimental_ynn_fusion_type=reduce"),
        (
            "--xla_cpu_enable_fast_math=false",
            "0.12.0.1",
            "--xla_cpu_enable_fast_math=false --xla_cpu_experimental_ynn_fusion_type=reduce",
        ),
        ("--xla_cpu_experimental_ynn_fusion_type=", "0.12.0", "--xla_cpu_experimental_ynn_fusion_type="),
        (None, "0.10.1", None),
        ("--xla_cpu_enable_fast_math=false", "0.13.0", "--xla_cpu_enable_fast_math=false"),
    ],
    ids=["nothing set", "another flag", "the user's own choice", "an older jaxlib", "a jaxlib not known yet"],
)
def test_the_compiler_is_told_what_is_fast_where_it_knows_the_flag(
    set_by_user: str | None, jaxlib: str, chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "version", {"jaxlib": jaxlib}.__getitem__)
    environment = {} if set_by_user is None else {"XLA_FLAGS": set_by_user}
    surroundings.compile_fast(environment)
    assert environment.get("XLA_FLAGS") == chosen
    surroundings.compile_fast(environment)  # by a job of a job
    assert environment.get("XLA_FLAGS") == chosen


def test_what_a_caller_has_set_in_jax_changes_nothing(plain: Any) -> None:
    settings = ("jax_enable_x64=true", 'jax_default_prng_impl="rbg"', "jax_random_seed_offset=3")
    strict = (
        'jax_numpy_dtype_promotion="strict"',
        'jax_numpy_rank_promotion="raise"',
        "jax_threefry_partitionable=false",
    )
    assert answer(start(*settings, *strict))[0] == plain[0]


def test_settings_end_with_their_block() -> None:
    assert jax.config.jax_random_seed_offset == 0
    jax.config.update("jax_random_seed_offset", 3)
    try:
        with numerics.settings():
            assert jax.config.jax_random_seed_offset == 0
        assert jax.config.jax_random_seed_offset == 3
    finally:
        jax.config.update("jax_random_seed_offset", 0)


def test_jobs_python_starts_as_if_nothing_were_set(tmp_path: Path) -> None:
    variables = {
        "PYTHONWARNINGS": "error",
        "PYTHONPATH": "/somewhere",
        "PYTHONSAFEPATH": "1",
        "PATH": "/bin",
        "PYTHONINSPECT": "1",
    }
    prefix = surroundings.shell_prefix(tmp_path, variables)
    seen = subprocess.run(
        ["/bin/sh", "-c", f"{prefix}env"], env=variables, capture_output=True, text=True, check=True
    ).stdout
    assert {line for line in seen.splitlines() if line.startswith("PYTHON")} == {
        "PYTHONPATH=/somewhere",
        "PYTHONUTF8=1",
    }


def test_jobs_import_the_package_beside_the_workflow(tmp_path: Path) -> None:
    project = tmp_path / "a clone, with $HOME and 'quotes'"
    (project / "nmepkg").mkdir(parents=True)
    for variables, expected in (({}, f"{project}"), ({"PYTHONPATH": "/x"}, f"{project}:/x")):
        prefix = surroundings.shell_prefix(project, variables)
        seen = subprocess.run(
            ["/bin/sh", "-c", f"{prefix}printenv PYTHONPATH"], env=variables, capture_output=True, text=True
        )
        assert seen.stdout == f"{expected}\n"


def test_threads_are_those_of_the_pool_of_xla() -> None:
    assert surroundings.threads({"NPROC": "3"}) == 3
    assert surroundings.threads({}) == len(os.sched_getaffinity(0))
    assert surroundings.recorded("gpu", None)["threads"] is None
