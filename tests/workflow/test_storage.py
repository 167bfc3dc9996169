"""What a store keeps, refuses and shares, on a real tiny study."""

from __future__ import annotations

import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Run
from nmepkg.sharing.checking import check
from nmepkg.sharing.export import export
from nmepkg.sharing.importing import put
from nmepkg.storage import Store
from nmepkg.study.load import load
from tests.jobs import job_file
from tests.workflow.project import STUDY, Project


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("finished"))
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, to spoil."""
    return finished.copy(tmp_path)


def runs(project: Project) -> list[Run]:
    return list(expand(load(project.folder / "study.yaml")).runs.values())


def train(project: Project, run: Run, *before_command: str) -> subprocess.CompletedProcess[str]:
    job = job_file(project.folder, "results", run.id, run.spec, run.code)
    return subprocess.run(
        [*before_command, sys.executable, "workflow/scripts/train.py", "--job", str(job)],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def truncate(text: str) -> str:
    return text[: len(text) // 2]


def raise_accuracy(text: str) -> str:
    return re.sub(r'"test_accuracy": 0\.\d', '"test_accuracy": 0.9', text)


@pytest.mark.parametrize("spoil", [truncate, raise_accuracy])
def test_a_spoilt_result_is_named_and_never_drawn(project: Project, spoil: Callable[[str], str]) -> None:
    path = project.folder / "results" / "runs" / runs(project)[0].id / "result.json"
    text = path.read_text()
    path.write_text(spoil(text))
    assert path.read_text() != text
    for edit in ("x: rho}", "x: rho, title: New}"):  # with nothing to do, and with a figure to draw
        project.edit("study.yaml", "x: rho}", edit)
        done = project.snakemake()
        assert done.returncode == 2
        *_, line = done.stdout.splitlines()
        assert line.startswith(f"{path.relative_to(project.folder)}: the result is ")
        assert line.endswith(f"delete the folder {path.parent.relative_to(project.folder)} and train the run again")
        dry = project.snakemake("-n")
        assert dry.returncode == 0
        assert line in dry.stdout.splitlines(), "a dry run says it, and goes on"
    assert project.nmepkg("status")["damaged"][0]["run"] == path.parent.name
    shutil.rmtree(path.parent)
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    again = json.loads(path.read_text())
    assert again["final"] == json.loads(text)["final"]


def test_anothers_result_is_refused(project: Project) -> None:
    first, second = runs(project)
    folder = project.folder / "results" / "runs"
    shutil.copy(folder / first.id / "result.json", folder / second.id / "result.json")
    project.edit("study.yaml", "x: rho}", "x: rho, title: New}")
    done = project.snakemake()
    assert done.returncode == 2
    assert f"run is '{first.id}' where '{second.id}' is asked for" in done.stdout


def test_a_full_disk_is_one_line_and_spoils_nothing(project: Project) -> None:
    """The system refuses files above a size, as a full disk refuses any."""
    lost, kept = runs(project)
    folder = project.folder / "results" / "runs"
    shutil.rmtree(folder / lost.id)
    before = {path: path.read_bytes() for path in project.folder.glob("results/runs/**/*") if path.is_file()}
    done = train(project, lost, "sh", "-c", 'ulimit -f 2 && exec "$0" "$@"')  # blocks of 512 bytes, or 1024
    assert done.returncode == 2
    message = f"failed: {lost.id}: results/runs/{lost.id}/params.npz: File too large; mend that and run snakemake again"
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
    assert before == {path: path.read_bytes() for path in before}
    left = {path.name for path in (folder / lost.id).iterdir()}
    assert left == {".lock", "state.json"}, "no half file"
    assert project.nmepkg("status")["failed"][0]["problem"].startswith("OSError: [Errno 27] File too large: ")
    assert train(project, lost).returncode == 0
    assert (folder / kept.id / "result.json").exists()


def test_two_studies_share_a_store(finished: Project, tmp_path: Path) -> None:
    other = Project(tmp_path)
    other.write("study.yaml", STUDY.replace("name: tiny\n", f"name: tiny\nstore: {finished.folder}/results\n"))
    other.edit("study.yaml", "rho: [0, 0.1]", "rho: [0, 0.1, 0.2]")
    data, planned, figures = other.plan()
    assert (data, figures) == (set(), {"curve"})
    assert {run.rsplit("-", 1)[0] for run in planned} == {"mnist1d-mlp-sam-0.2-relu-s0"}
    done = other.snakemake()
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "results/figures/tiny/curve.pdf").exists(), "figures are everybody's own"
    assert planned <= {path.name for path in finished.folder.glob("results/runs/*")}
    (finished.folder / "config").mkdir()
    shutil.copy(finished.folder / "study.yaml", finished.folder / "config")
    leftovers = finished.nmepkg("gc")
    assert not [item for item in leftovers if "/runs/" in item["path"]], "the other study's run is in use"
    assert finished.plan() == (set(), set(), set())


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


def read_only(store: Path, command: list[str]) -> list[str]:
    """The command where a store is mounted read-only, which binds root too."""
    words = ["unshare", "--mount", "sh", "-c", READ_ONLY, str(store)]
    tried = subprocess.run([*words, "true"], capture_output=True)
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.decode().strip()}")
    return [*words, *command]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, of util-linux")
def test_a_store_that_is_read_only_serves_reads(finished: Project, tmp_path: Path) -> None:
    store = finished.folder / "results"
    other = Project(tmp_path)
    other.write("study.yaml", STUDY.replace("name: tiny\n", f"name: tiny\nstore: {store}\n"))

    def snakemake() -> subprocess.CompletedProcess[str]:
        command = read_only(store, other.command())
        return subprocess.run(
            command, cwd=tmp_path, env=other.environment, stdout=-1, stderr=-2, text=True, timeout=120
        )

    done = snakemake()
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "results/figures/tiny/curve.pdf").exists()
    other.edit("study.yaml", "rho: [0, 0.1]", "rho: [0, 0.1, 0.3]")
    done = snakemake()
    assert done.returncode == 2
    assert f"store: {store}/runs is not writable, and 2 files are missing there" in done.stdout
    assert "Training" not in done.stdout


# The training process and its code.


def test_a_job_whose_code_changed_in_the_queue_is_refused(project: Project) -> None:
    run = runs(project)[0]
    shutil.rmtree(project.folder / "results" / "runs" / run.id)
    project.append("nmepkg/models/mlp.py", "\nNEW = 1\n")
    done = train(project, run)
    assert done.returncode == 2
    assert re.fullmatch(
        rf"failed: {run.id}: the code changed since this job was planned: its hash was {run.code} and is \w+; "
        r"run snakemake again\n",
        done.stderr,
    )


def test_a_job_whose_spec_is_not_that_of_its_id_is_refused(project: Project) -> None:
    first, second = runs(project)
    done = train(project, Run(first.id, second.spec, second.code, second.data_id))
    assert done.returncode == 2
    assert f"planned as another job, {second.id}" in done.stderr
    done = train(project, Run(first.id, {"seed": 0}, first.code, first.data_id))
    assert done.returncode == 2
    assert "the spec is not canonical" in done.stderr
    assert done.stderr.count("\n") == 1


def test_code_that_no_statement_imports_is_refused(project: Project) -> None:
    """An import that the hash cannot see: its edits would go unnoticed."""
    project.write("nmepkg/models/hidden.py", "FACTOR = 1.0\n")
    project.append("nmepkg/models/mlp.py", '\nimport importlib\n\nimportlib.import_module("nmepkg.models.hidden")\n')
    project.edit("study.yaml", "rho: [0, 0.1]", "rho: [0.1]")
    done = project.snakemake("--retries", "0")
    assert done.returncode != 0
    assert "nmepkg.models.hidden: imported, but no part of this job's code hash" in done.stdout


def test_bytecode_of_another_source_is_refused(project: Project) -> None:
    """Python trusts bytecode whose source has the same size and time; a checkout within a second gives that."""
    path = project.folder / "nmepkg" / "methods" / "gradient_descent.py"
    times = path.stat()
    changed = path.read_bytes() + b"\nX=1\n"
    path.write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    py_compile.compile(str(path), doraise=True)
    path.write_bytes(changed.replace(b"X=1", b"X=2"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    run = next(run for run in planned(project) if run.spec["method"]["name"] == "sgd")
    done = train(project, run)
    assert done.returncode == 2, done.stderr
    assert (
        "nmepkg.methods.gradient_descent: loaded from bytecode that is not that of its source; delete " in done.stderr
    )


def planned(project: Project) -> list[Run]:
    """The runs by the code of the project, which is not that of this process."""
    script = "import json, sys; from pathlib import Path; from nmepkg.runs.expand import expand; "
    script += "from nmepkg.study.load import load; "
    script += "print(json.dumps([vars(run) for run in expand(load(Path('study.yaml'))).runs.values()]))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.folder, env=project.environment, capture_output=True, check=True
    )
    return [Run(**run) for run in json.loads(done.stdout)]


def test_what_is_adopted_is_not_trained_and_says_so_wherever_it_is_shown(project: Project) -> None:
    project.append("nmepkg/methods/sharpness_aware.py", "\nNEW = 1\n")
    (trained,) = project.plan()[1]
    (adopted,) = project.nmepkg("adopt", "--yes", "--reason", "a constant that nothing reads")
    assert (adopted["new"], adopted["modules"]) == (trained, ["nmepkg.methods.sharpness_aware"])
    assert project.plan() == (set(), set(), {"curve"})
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    figures = project.folder / "results" / "figures" / "tiny"
    table = (figures / "curve.runs.csv").read_text()
    assert f"{adopted['old']}: a constant that nothing reads" in table
    record = json.loads(next(figures.glob("records/curve/*.json")).read_text())
    assert record["note"] == "1 of 2 results of other code, adopted"
    assert record["note"].encode() in (figures / "curve.png").read_bytes()
    assert project.plan() == (set(), set(), set())


@pytest.mark.parametrize("parameters", [False, True])
def test_an_archive_is_drawn_from_and_continued(finished: Project, tmp_path: Path, parameters: bool) -> None:
    """Where nothing was ever trained: figures train nothing, a seed more trains that, and a measurement what it lacks."""
    archive, study = tmp_path / "tiny.tar.xz", load(finished.folder / "study.yaml")
    export(study, expand(study), Store(finished.folder / "results"), archive, {}, parameters=parameters)
    here = Project(tmp_path / "here")
    put(check(archive), Store(here.folder / "results"))
    old = {run.id for run in runs(here)}
    if parameters:
        assert here.plan() == (set(), set(), {"curve"})
    else:
        done = here.snakemake()
        assert done.returncode == 0, done.stdout
        assert "Training" not in done.stdout
        assert (here.folder / "results" / "figures" / "tiny" / "curve.pdf").exists()
    measured = "seeds: [0], measurements: [step]}\nmeasurements: {step: {kind: alignment}}"
    here.edit("study.yaml", "seeds: [0]}", measured)
    data, trained, _ = here.plan("measurements")
    assert (len(data), trained) == (1, set() if parameters else old)
    for job in expand(load(here.folder / "study.yaml")).measurements.values():
        path = Store(here.folder / "results").measurement(str(job.run), job.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    here.edit("study.yaml", "seeds: [0], measurements", "seeds: [0, 1], measurements")
    data, trained, figures = here.plan("measurements", "curve")
    assert (len(data), figures, trained) == (1, {"curve"}, {run.id for run in runs(here)} - old)
