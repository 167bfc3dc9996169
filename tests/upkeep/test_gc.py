"""What may be deleted, and what never."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.data import store
from nmepkg.errors import UserError
from nmepkg.records import DamagedError
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Run
from nmepkg.study.load import load
from nmepkg.upkeep import gc, registration
from tests.upkeep.made import Made


def found(made: Made) -> dict[str, str]:
    studies = gc.studies_of(made.path.parent, [], made.store)
    return {str(item.path.relative_to(made.store.root)): item.kind for item in gc.leftovers(made.store, studies)}


def finish_all(made: Made) -> list[Run]:
    runs = made.runs
    for run in runs:
        made.finish(run)
    for job in made.expansion.measurements.values():
        made.measure(job)
    return runs


def test_what_a_study_uses_is_not_left_over(made: Made) -> None:
    finish_all(made)
    assert found(made) == {}


def test_an_experiment_less_leaves_orphans(made: Made) -> None:
    runs = finish_all(made)
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    gone = [run.id for run in runs if run.spec["seed"] == 1]
    leftovers = found(made)
    assert {name for name in leftovers if name.startswith("runs/")} == {f"runs/{run}" for run in gone}
    assert {name.split("/")[1] for name in leftovers if name.startswith("measurements/")} == set(gone)
    assert set(leftovers.values()) == {"orphan"}


def test_other_code_unfinished_trainings_and_temporary_files(made: Made) -> None:
    first, second, third, *_ = finish_all(made)
    old = made.by_other_code(first)
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    shutil.rmtree(made.store.run(second.id))
    made.unfinished(second, "stopped")
    half, fresh = (made.store.run(third.id) / name for name in (".params.npz.abc_1234", ".params.npz.def_1234"))
    for path in (half, fresh):
        path.write_bytes(b"half")
    os.utime(half, (0, 0))
    leftovers = found(made)
    assert leftovers[f"runs/{old.id}"] == "other code"
    assert leftovers[f"runs/{third.id}/.params.npz.abc_1234"] == "temporary"
    assert f"runs/{third.id}/.params.npz.def_1234" not in leftovers, "somebody may be writing it"
    gone = next(run for run in (first, second, third) if run.spec["seed"] == 1)
    assert gone == second
    assert leftovers[f"runs/{second.id}"] == "unfinished"
    with made.training(second):
        assert f"runs/{second.id}" not in found(made), "somebody is training it"


def test_what_is_not_ours_is_never_named(made: Made) -> None:
    """A store that is somebody's folder, with things of theirs in it that look like ours."""
    finish_all(made)
    root, other = made.store.root, made.runs[0]
    record = made.store.result(other.id).read_text()
    theirs = {
        "runs/my_other_project/notes.txt": "mine",
        "runs/thesis-0123456789ab/chapter.txt": "no record of ours",
        "runs/thesis-0123456789ac/result.json": "{}",
        "runs/thesis-0123456789ad/result.json": record,  # of another run
        "runs/thesis-0123456789ae/result.json": record.replace("gelu", "relu"),  # damaged
        "runs/thesis-0123456789af/state.json": '{"status": "running"}',
        "runs/.cache.old.thing": "hidden",
        f"runs/{other.id}/.vimrc.swp": "hidden",
        f"runs/{other.id}/.params.npz.backup-of-mine": "hidden",
        "data/my_thesis.csv": "1,2",
        "data/my_thesis-0123456789ab.npz": "arrays",
        "data/mine-0123456789ab.json": "{}",
        "measurements/mine/a.json": "{}",
        f"measurements/{other.id}/notes.txt": "mine",
        f"measurements/{other.id}/mine-0123456789ab.json": "{}",
        "landscapes/mine-0123456789ab.npz": "no archive",
        "cache/.config.d/x": "hidden",
        "src/.git.d/.x.y": "hidden",
        ".bash.rc": "hidden",
    }
    for name, text in theirs.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (0, 0))
    (root / "runs" / "link-0123456789ab").symlink_to(made.store.run(other.id), target_is_directory=True)
    assert found(made) == {}
    made.edit("seeds: [0, 1], ", "seeds: [1], ")
    made.edit("seeds: [0]}", "seeds: [2]}")
    assert f"runs/{other.id}" in found(made)
    made.call("gc", "--yes")
    assert found(made) == {}
    assert not made.store.result(other.id).exists()
    assert [name for name in theirs if not (root / name).exists()] == [], "beside ours too"


def test_a_run_that_is_begun_while_leftovers_are_deleted_stays(made: Made) -> None:
    first, second, *_ = finish_all(made)
    made.edit("seeds: [0, 1], ", "seeds: [5], ")
    listed = gc.leftovers(made.store, gc.studies_of(made.path.parent, [], made.store))
    with made.training(first):
        deleted = {item.path for item in gc.delete(listed)}
    assert made.store.run(second.id) in deleted
    assert made.store.run(first.id) not in deleted
    assert made.store.finished(first.id)


def test_prepared_data_go_both_files_together(made: Made) -> None:
    arrays = {f"{split}_{what}": np.arange(4) for split in ("train", "test") for what in "xy"}
    path = made.store.data("mnist1d-0123456789ab")
    store.write(path, arrays, {"name": "mnist1d"}, "code")
    (leftover,) = gc.leftovers(made.store, gc.studies_of(made.path.parent, [], made.store))
    assert leftover.files == made.store.data_files("mnist1d-0123456789ab")
    assert (leftover.owner, leftover.changed) == (getpass.getuser(), time.strftime("%Y-%m-%d"))
    assert [*gc.delete([leftover])] == [leftover]
    assert not path.parent.exists()


def test_compiled_programs_that_nobody_reads_go(made: Made) -> None:
    folder = made.store.compiled / "0123456789ab"
    folder.mkdir(parents=True)
    paths = {name: folder / name for name in (f"jit_step-{'0' * 64}-cache", f"jit_step-{'1' * 64}-cache", "mine-cache")}
    for path in paths.values():
        path.write_bytes(b"program")
    read, unread, mine = paths.values()
    ages = {read: (time.time(), 0), unread: (0, 0), mine: (0, 0)}
    for path, (accessed, modified) in ages.items():
        os.utime(path, (accessed, modified))
    (leftover,) = gc.leftovers(made.store, gc.studies_of(made.path.parent, [], made.store))
    assert (leftover.kind, leftover.path, leftover.files) == ("compiled", folder, (unread,))
    made.call("gc", "--yes", "--kind", "compiled")
    assert set(folder.iterdir()) == {read, mine}


@pytest.mark.parametrize("overrides", [{"smoke": True}, {"select": ["mlp"]}])
def test_a_variant_of_a_study_that_somebody_called_is_in_use(made: Made, overrides: dict[str, Any]) -> None:
    """Its runs too, as they are now; and the whole study's are, when a variant is called after it."""
    study = load(made.path, overrides)
    expansion = expand(study)
    runs = [*expansion.runs.values(), *made.runs]
    for run in {run.id: run for run in runs}.values():
        made.finish(run)
    registration.register(made.study, made.expansion)
    registration.register(study, expansion)
    assert found(made) == {}
    assert json.loads(made.call("gc", "--json")) == []
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    assert {f"runs/{run.id}" for run in runs if run.spec["seed"] == 1} == found(made).keys(), "of both"
    whole = f"{socket.gethostname()}:{made.path}"
    (named,) = {registration.name_of(content) for content in registration.registered(made.store)} - {whole}
    registration.forget(made.store, named)
    assert list(map(registration.name_of, registration.registered(made.store))) == [whole]


def test_in_a_pipe_no_path_is_broken(made: Made) -> None:
    finish_all(made)
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    printed = made.call("gc")
    for item in json.loads(made.call("gc", "--json")):
        assert item["path"] in printed
        assert item["owner"] in printed


def test_what_another_study_of_the_store_uses_is_not_left_over(made: Made, tmp_path: Path) -> None:
    """A registration protects what a study uses, wherever its file is; one of ours counts as it is now."""
    runs = finish_all(made)
    registration.register(made.study, made.expansion)
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    assert found(made) != {}, "our own study's earlier registration does not count"
    elsewhere = tmp_path / "elsewhere.yaml"
    shutil.copy(made.path, elsewhere)
    elsewhere.write_text(elsewhere.read_text().replace("seeds: [0], ", "seeds: [1], "))
    other = Made.__new__(Made)
    other.folder, other.path, other.store = tmp_path, elsewhere, made.store
    registration.register(other.study, other.expansion)
    assert found(made) == {}
    assert len(runs) == 11
    elsewhere.unlink()
    assert found(made) == {}, "deleted, renamed, or on another branch"
    assert f"If it is no more: gc --forget {socket.gethostname()}:{elsewhere}" in made.call("gc")
    assert "not registered in" in made.call("gc", "--forget", "nobody.yaml", code=2)
    made.call("gc", "--forget", str(elsewhere))
    assert found(made) != {}


def test_the_same_path_on_another_host_is_another_study(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers, each with its study at the same place."""
    finish_all(made)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "elsewhere")
        registration.register(made.study, made.expansion)
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    registration.register(made.study, made.expansion)
    assert found(made) == {}
    assert f"Kept: 11 runs and more that elsewhere:{made.path} used" in made.call("gc")
    registration.forget(made.store, f"elsewhere:{made.path}")
    assert len(list((made.store.root / "studies").iterdir())) == 1, "ours stays"
    assert found(made) != {}


def test_a_study_in_the_folder_that_has_another_store_does_not_count(made: Made, tmp_path: Path) -> None:
    finish_all(made)
    second = made.path.with_name("second.yaml")
    second.write_text(made.path.read_text().replace(str(made.store.root), str(tmp_path / "other")))
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    assert found(made) != {}


def test_nothing_is_known_to_be_left_over_while_a_study_cannot_be_read(made: Made) -> None:
    finish_all(made)
    made.path.with_name("broken.yaml").write_text("version: [")
    with pytest.raises(UserError, match=r"broken\.yaml: .*nothing is deleted"):
        found(made)
    made.path.with_name("broken.yaml").unlink()
    registration.register(made.study, made.expansion)
    path = next((made.store.root / "studies").iterdir())
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DamagedError):
        found(made)


def test_the_command_deletes_only_when_told_to(made: Made) -> None:
    runs = finish_all(made)
    made.edit("seeds: [0, 1], ", "seeds: [0], ")
    kept = {run.id for run in runs if run.spec["seed"] == 0}
    everything = sorted(made.store.root.rglob("*"))
    assert "Nothing was deleted: call gc --yes" in made.call("gc")
    listed = json.loads(made.call("gc", "--json"))
    assert sorted(made.store.root.rglob("*")) == everything
    assert {Path(item["path"]).name for item in listed if "/runs/" in item["path"]} == {run.id for run in runs} - kept
    assert all(item["size"] > 0 for item in listed)
    assert "Nothing is left over" in made.call("gc", "--yes", "--kind", "other code")
    made.call("gc", "--yes")
    assert {path.name for path in (made.store.root / "runs").iterdir()} == kept
    assert {path.name for path in (made.store.root / "measurements").iterdir()} <= kept
    assert "Nothing is left over" in made.call("gc")


def test_a_folder_without_studies_is_refused(made: Made) -> None:
    (made.folder / "elsewhere").mkdir()
    made.path.parent.rename(made.folder / "elsewhere" / "config")
    with pytest.raises(UserError, match="no such folder; call gc in the project's"):
        gc.studies_of(made.path.parent, [], made.store)
