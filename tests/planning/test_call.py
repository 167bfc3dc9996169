"""What is asked of Snakemake's objects, with objects that are like them; tests/workflow asks the real ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmepkg.errors import UserError
from nmepkg.planning.call import Call


def job(rule: str, *, local: bool = False, minutes: int = 7, **wildcards: str) -> SimpleNamespace:
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule),
        wildcards=wildcards,
        resources={"runtime": minutes},
        is_local=local,
        is_norun=False,
        output=[f"{rule}.out"],
        log=[f"{rule}.log"],
    )


def workflow(*jobs: SimpleNamespace, prefix: str | None = None, executor: str = "slurm") -> Any:
    """Of a call whose rules have another name where it is a module's."""
    modifier = SimpleNamespace(
        base_snakefile=prefix and "/their/Snakefile", modify_rulename=lambda name: f"{prefix or ''}{name}"
    )
    return SimpleNamespace(
        modifier=modifier,
        current_basedir=SimpleNamespace(get_path_or_uri=lambda secret_free: "/some/where"),
        config_settings=SimpleNamespace(config={"smoke": True}, configfiles=["other.yaml"]),
        is_main_process=True,
        output_settings=SimpleNamespace(dryrun=False),
        execution_settings=SimpleNamespace(retries=2),
        executor_plugin=SimpleNamespace(name=executor),
        dag=SimpleNamespace(needrun_jobs=lambda: iter(jobs)),
        _build_dag=lambda: None,
        _onstart=lambda log: None,
        _onsuccess=lambda log: None,
        _onerror=lambda log: None,
    )


def test_options_are_those_of_the_command_line_or_of_the_module() -> None:
    main = Call(workflow(), {"study": "merged.yaml"})
    assert (main.options, main.files, main.is_module, main.tries) == ({"smoke": True}, ["other.yaml"], False, 3)
    module = Call(workflow(prefix="theirs_"), {"study": "mine.yaml"})
    assert (module.options, module.files, module.is_module) == ({"study": "mine.yaml"}, [], True)
    assert module.folder == Path("/some/where")


@pytest.mark.parametrize("prefix", [None, "theirs_"])
def test_jobs_are_called_as_the_rules_are_here(prefix: str | None) -> None:
    named = [f"{prefix or ''}{name}" for name in ("train", "draw_figure_1", "figure_1")]
    jobs = [job(named[0], run="r"), job(named[1], local=True), job(named[2]), job("somebody_elses")]
    needed = Call(workflow(*jobs, prefix=prefix), {}).needed()
    assert [(found.rule, found.minutes) for found in needed] == [("train", 7), ("draw", None)]
    assert needed[0].wildcards == {"run": "r"}
    assert needed[0].files == (Path(f"{named[0]}.out"), Path(f"{named[0]}.log"))


def test_time_is_asked_of_a_cluster_alone() -> None:
    (found,) = Call(workflow(job("train"), executor="local"), {}).needed()
    assert found.minutes is None


@pytest.mark.parametrize(("prefix", "expected"), [(None, ["theirs"]), ("a_", ["ours", "theirs"])])
def test_a_module_has_its_handlers_called_before_its_users(prefix: str | None, expected: list[str]) -> None:
    """Which are set after its Snakefile is read; Snakemake may look at the files more than once."""
    called: list[str] = []
    inner = workflow(prefix=prefix)
    Call(inner, {}).attach(start=lambda: called.append("ours"))
    inner._onstart = lambda log: called.append("theirs")
    inner._build_dag()
    inner._build_dag()
    inner._onstart("log")
    assert called == expected


def test_what_is_the_users_fault_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, Call(workflow(), {}).refusing():
        raise UserError("study.yaml: name: missing")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "study.yaml: name: missing\n"
