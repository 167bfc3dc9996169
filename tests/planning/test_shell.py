"""Variables that would break every job are refused in one line that names them."""

from __future__ import annotations

import os

import pytest

from nmepkg.errors import UserError
from nmepkg.planning.shell import check_jax_starts, check_shell


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_COORDINATOR_ADDRESS", "localhost:1234"),
        ("XLA_FLAGS", "--xla_cpu_enable_fast_math=false --xla_force_host_platform_device_count=4"),
        ("NPROC", "all"),
        ("NPROC", "0"),
    ],
)
def test_what_would_break_every_job_is_refused(name: str, value: str) -> None:
    with pytest.raises(UserError, match=rf"^{name}: .*unset it") as problem:
        check_shell({name: value})
    assert "\n" not in str(problem.value)


def test_other_variables_are_fine() -> None:
    fine = {"XLA_FLAGS": "--xla_force_host_platform_device_count=1", "NPROC": "2", "SLURM_STEP_NUM_TASKS": "2"}
    check_shell({**fine, "JAX_ENABLE_X64": "1"})


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"XLA_FLAGS": "--xla_no_such_flag=3"}, "Unknown flag in XLA_FLAGS: --xla_no_such_flag=3"),
        ({"JAX_PLATFORMS": "nonsense"}, "nonsense"),
    ],
)
def test_jax_that_does_not_start_is_told_before_any_job(variables: dict[str, str], reason: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    (named,) = (f"{name}={value}" for name, value in variables.items())
    with pytest.raises(UserError, match=reason) as problem:
        check_jax_starts(here=True, environment=environment | variables)
    assert str(problem.value).startswith(f"{named}: JAX does not start")
    assert "\n" not in str(problem.value)


def test_jax_is_tried_only_where_something_may_keep_it_from_starting() -> None:
    """Where jobs run elsewhere, the GPUs that they are to find there are not asked for here."""
    check_jax_starts(here=True, environment={"PATH": "/nowhere", "JAX_PLATFORMS": "cpu"})
    check_jax_starts(here=False, environment={"PATH": "/nowhere", "JAX_PLATFORMS": "cuda"})
