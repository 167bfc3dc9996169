"""What is written in an archive arrives, or is refused in one line before a store is touched."""

from __future__ import annotations

import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nmepkg import records
from nmepkg.__main__ import main
from nmepkg.records import DamagedError
from nmepkg.runs.looks import looks_at
from nmepkg.sharing import archive, checking, importing
from nmepkg.storage import RESULT, Store
from nmepkg.upkeep.survey import run_states
from tests.sharing.filled import by_seed, filled, finish, tree
from tests.upkeep.made import Made

Members = list[tuple[tarfile.TarInfo, bytes]]


def members(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(member, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar]


def rewrite(path: Path, changed: Members) -> None:
    with tarfile.open(path, "w:xz", preset=0) as tar:
        for member, content in changed:
            tar.addfile(member, io.BytesIO(content))


def restated(found: Members, **manifest: object) -> Members:
    """The same with a manifest that is true of its files, as somebody who knows how would write it."""
    (head, text), rest = found[0], found[1:]
    content = {**records.unseal(text.decode()), **manifest}
    content["files"] = {m.name: [len(raw), hashlib.sha256(raw).hexdigest()] for m, raw in rest}
    raw = records.seal(content).encode()
    head.size = len(raw)
    return [(head, raw), *rest]


def test_the_same_results_are_the_same_bytes(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever they are exported, and by whom."""
    monkeypatch.chdir(whole)
    for file in (whole / "results").rglob("*.json"):
        file.touch()
    assert main(["export", "config/study.yaml", "again.tar.xz"]) == 0
    assert (whole / "again.tar.xz").read_bytes() == (whole / "bare.tar.xz").read_bytes()
    again = subprocess.run(["tar", "tf", "again.tar.xz"], cwd=whole, capture_output=True, text=True, check=True)
    assert again.stdout.splitlines()[:3] == ["manifest.json", "study.yaml", "README.txt"]
    manifest = archive.manifest_of(whole / "again.tar.xz")
    assert manifest["command"] == "python -m nmepkg export config/study.yaml FILE"
    assert manifest["counts"] == {"runs": [11, 11], "measurements": [10, 10], "landscapes": [0, 0]}
    assert manifest["versions"]["jax"] == ["0.10.2"]


@pytest.mark.parametrize("name", ["bare", "full"])
def test_what_was_exported_is_there(whole: Path, here: Made, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", f"{name}.tar.xz"]) == 0
    found, before = tree(here.folder / "results"), tree(whole / "results")
    if name == "bare":
        before = {file: content for file, content in before.items() if not file.endswith(".npz")}
        assert {file.rpartition("/")[2] for file in found.keys() - before.keys()} == {"left_out.json"}
        found = {file: content for file, content in found.items() if file in before}
    assert found == before
    assert {state.status for state in run_states(Store(here.folder / "results"), here.runs).values()} == {"done"}
    assert "results: 11 runs of the archive, 11 of them new" in capsys.readouterr().out
    times = {path: path.stat().st_mtime_ns for path in (here.folder / "results").rglob("*")}
    assert main(["import", f"{name}.tar.xz"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (here.folder / "results").rglob("*")} == times, "as if read-only"
    assert main(["export", "config/study.yaml", "back.tar.xz", *(["--parameters"] if name == "full" else [])]) == 0
    assert (here.folder / "back.tar.xz").read_bytes() == (whole / f"{name}.tar.xz").read_bytes()


def test_parameters_may_come_later(here: Made, whole: Path) -> None:
    for name in ("bare", "full"):
        importing.put(checking.check(here.folder / f"{name}.tar.xz"), here.store)
    assert tree(whole / "results").items() <= tree(here.store.root).items()


def test_a_run_with_other_snapshots_is_the_same_run(here: Made) -> None:
    """It keeps its own, and is given the parameters that it lacks."""
    checked, run = checking.check(here.folder / "full.tar.xz"), here.runs[0].id
    importing.put(checked, here.store)
    snapshot, result = here.store.snapshot(run, 2), records.read(here.store.result(run), RESULT, {})
    snapshot.parent.mkdir()
    snapshot.write_bytes(b"after two steps")
    files = {**result["files"], "snapshots/2.npz": hashlib.sha256(b"after two steps").hexdigest()}
    records.write(here.store.result(run), RESULT, {**result, "files": files})
    before = tree(here.store.root)
    here.store.params(run).unlink()
    found = importing.put(checked, here.store)
    assert (found.kept, found.busy, found.new["runs"]) == ([], [], 0)
    assert tree(here.store.root) == before


def test_killed_anywhere_it_goes_on(here: Made, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any of its files. No result is ever there without what it speaks of."""
    checked, write = checking.check(here.folder / "full.tar.xz"), importing._write
    calls = 0

    def killed(path: Path, pieces: Iterator[bytes]) -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise KeyboardInterrupt
        write(path, pieces)

    monkeypatch.setattr(importing, "_write", killed)
    for _ in range(100):
        try:
            importing.put(checked, here.store)
            break
        except KeyboardInterrupt:
            states = run_states(here.store, here.runs).values()
            assert {(state.status, state.problem) for state in states} <= {("done", ""), ("missing", "")}
    assert tree(here.store.root) == tree(whole / "results")


def test_a_result_that_is_there_stays(here: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """One with other numbers, with what was measured of it; one of another day is the same."""
    own, same, trained, *_ = here.runs
    where = {"start": "2026-02-02T00:00:00Z", "data_sha256": "0" * 64}
    finish(here, own, 0.1, **where)
    finish(here, same, by_seed(same), **where)
    before = tree(here.store.root)
    with here.training(trained):
        assert main(["import", "full.tar.xz"]) == 1
    said = capsys.readouterr().out
    assert f"{own.id}: final.test_accuracy is 0.1 here and " in said
    assert f"{trained.id}: is trained here just now" in said
    assert before.items() <= tree(here.store.root).items()
    assert not (here.store.root / "measurements" / own.id).exists()
    assert (here.store.root / "measurements" / same.id).exists()
    assert not here.store.result(trained.id).exists()
    assert main(["import", "full.tar.xz"]) == 1
    assert here.store.result(trained.id).exists()


def hostile() -> dict[str, tuple[Callable[[Members], Members], str]]:
    def renamed(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[Members], Members]:
        def change(found: Members) -> Members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            return restated([*found, (member, b"")])

        return change

    def edited(found: Members) -> Members:
        return [(m, raw.replace(b"0.5", b"0.9") if m.name.endswith("result.json") else raw) for m, raw in found]

    def resealed(found: Members) -> Members:
        """A result under another run's name, with seals and hashes that are right."""
        places = [i for i, (m, _) in enumerate(found) if m.name.endswith("result.json")]
        (a, raw), (b, other) = (found[i] for i in places[:2])
        a.size, b.size = len(other), len(raw)
        found[places[0]], found[places[1]] = (a, other), (b, raw)
        return restated(found)

    def first(found: Members) -> Members:
        place = next(i for i, (m, _) in enumerate(found) if m.name.endswith("result.json"))
        found.insert(place - 1, found.pop(place))
        return restated(found)

    def sealed(name: str, old: bytes, new: bytes) -> Callable[[Members], Members]:
        """A record that is no result, with seals and hashes that are right."""

        def change(found: Members) -> Members:
            place = next(i for i, (m, _) in enumerate(found) if m.name.endswith(name))
            member, raw = found[place]
            assert old in raw
            body = raw.replace(old, new, 1).decode().rpartition(',\n "sha256"')[0]
            raw = f'{body},\n "sha256": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'.encode()
            member.size = len(raw)
            found[place] = (member, raw)
            return restated(found)

        return change

    run = "runs/x-0123456789ab"
    return {
        "no number": (sealed("result.json", b'"epoch": 0', b'"epoch": NaN'), "is not what it should be"),
        "no files": (sealed("result.json", b'"files": {', b'"files": 3, "others": {'), "is not what it should be"),
        "older": (sealed("result.json", b'"format": 3', b'"format": 2'), "of format 2, and this one reads 3"),
        "no study": (lambda found: restated(found, study={"overrides": 3}), "without a study"),
        "above": (renamed("../outside.json"), "with a file that no store has: '../outside.json'"),
        "absolute": (renamed("/tmp/outside.json"), "with a file that no store has: '/tmp/outside.json'"),
        "within": (renamed("runs/../../x-0123456789ab/result.json"), "with a file that no store has"),
        "other": (renamed("cache/jax/x"), "with a file that no store has"),
        "symlink": (renamed(f"{run}/params.npz", tarfile.SYMTYPE), "not of files alone"),
        "hard link": (renamed(f"{run}/params.npz", tarfile.LNKTYPE), "not of files alone"),
        "device": (renamed(f"{run}/params.npz", tarfile.CHRTYPE), "not of files alone"),
        "stray": (renamed(f"{run}/params.npz"), "with a file of which no result speaks"),
        "edited": (edited, "changed since it was written: the sha256 of"),
        "another's": (resealed, "with a result under another's name"),
        "early": (first, "before its files"),
        "fewer": (lambda found: found[:-1], "truncated: measurements/"),
        "more": (lambda found: [*found, found[-1]], "more than its manifest says"),
        "newer": (
            lambda found: restated(found, format=2),
            "of format 2, and this version reads up to 1; update nmepkg",
        ),
        "no manifest": (lambda found: found[1:], "no archive of results"),
        "edited manifest": (
            lambda found: [(found[0][0], found[0][1].replace(b'"jax"', b'"jox"')), *found[1:]],
            "its manifest is changed since it was written",
        ),
    }


@pytest.mark.parametrize("what", hostile())
def test_what_is_no_archive_of_results_is_refused(here: Made, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, problem = hostile()[what]
    path = here.folder / "full.tar.xz"
    rewrite(path, change(members(path)))
    assert main(["import", "full.tar.xz"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("nmepkg: full.tar.xz: the archive is "), said.err
    assert problem in said.err
    assert len(said.err.splitlines()) == 1
    assert not here.store.root.exists()


def test_damage_at_any_byte_is_refused(here: Made) -> None:
    """Cut, or with a byte changed: the last few bytes of xz, behind all content, alone may."""
    raw = (here.folder / "bare.tar.xz").read_bytes()
    path = here.folder / "damaged.tar.xz"
    for place in range(0, len(raw) - 64, len(raw) // 12):
        for damaged in (raw[:place], raw[:place] + bytes([raw[place] ^ 255]) + raw[place + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(DamagedError, match=r"damaged\.tar\.xz: the archive is "):
                checking.check(path)
    for text in (b"", b"results", lzma.compress(b"results")):
        path.write_bytes(text)
        with pytest.raises(DamagedError, match="no archive of results"):
            checking.check(path)


def test_other_code_is_said_plainly(
    here: Made, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And adopting is as for what was computed here; what was left out, stays so."""
    there = filled(tmp_path / "there")
    run = there.runs[0]
    shutil.rmtree(there.store.run(run.id))
    old = there.by_other_code(run)
    content = records.read(there.store.result(old.id), RESULT, {})
    finish(there, old, 0.5, start="2026-01-01T00:00:00Z", data_sha256="0" * 64)
    files = {
        path.relative_to(there.store.root).as_posix(): path
        for path in (there.store.code(old.code), there.store.result(old.id))
    }
    manifest = {"study": {"name": "tiny", "file": "study.yaml", "overrides": {}}}
    files["study.yaml"] = there.path
    archive.write(here.folder / "old.tar.xz", manifest, files)
    assert content["run"] == old.id
    assert main(["import", "old.tar.xz"]) == 0
    said = capsys.readouterr().out
    assert "0 of the study's 11 runs are there, for the code as it is here" in said
    assert "1 results are of other code than this clone's" in said
    assert "it differs in nmepkg.training.loop" in said
    assert main(["adopt", "--study", "config/study.yaml", "--reason", "none", "--yes"]) == 0
    assert run_states(Store(Path("results")), [run])[run.id].status == "done"


def test_the_study_comes_along(here: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is none; another one is left, and its store is the one that is used."""
    text = here.path.read_text()
    here.path.unlink()
    assert main(["import", "bare.tar.xz"]) == 0
    assert here.path.read_text() == text
    here.path.write_text(text.replace("seeds: [0, 1]", "seeds: [0, 1, 2]").replace("store: results", "store: mine"))
    assert main(["import", "bare.tar.xz"]) == 0
    assert "is another text than the archive's study" in (said := capsys.readouterr().out)
    assert "11 of the study's 16 runs are there" in said
    assert (here.folder / "mine" / "runs").is_dir()


def test_verdicts_do_not_change_by_moving(here: Made, whole: Path) -> None:
    """How often claims were looked at, and when they were declared, comes along."""
    claim = "claims: {above: {figure: curve, says: It is, both: {activation: gelu}, "
    claim += "a: {method: sam, rho: 0.1}, b: {method: psam, rho: 0.1}, expect: greater, smallest: 1}}\n"
    there = filled(here.folder / "there")
    there.path.write_text(there.path.read_text() + claim)
    from nmepkg.runs.compared import study_comparisons

    (one,) = study_comparisons(there.study, there.expansion)
    looks = looks_at(there.store, there.study, one)
    looks.record((0,))
    assert main(["export", str(there.path), "claims.tar.xz", "--store", str(there.store.root)]) == 0
    importing.put(checking.check(Path("claims.tar.xz")), here.store)
    assert looks_at(here.store, there.study, one).number((0, 1)) == looks.number((0, 1)) == 2


def test_nothing_else_is_overwritten(here: Made, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The study named twice, say."""
    study = str(whole / "config" / "study.yaml")
    text = Path(study).read_bytes()
    assert main(["export", study, study, "--store", str(whole / "results")]) == 2
    assert "is there, and no archive; name another file" in capsys.readouterr().err
    assert Path(study).read_bytes() == text


def test_a_study_that_was_sent_chooses_no_folder(here: Made) -> None:
    """Neither by its own key, nor by what the manifest says that it was called with."""
    text = here.path.read_bytes().replace(b"store: results", b"store: /tmp/elsewhere-of-somebody")
    here.path.unlink()
    path = here.folder / "full.tar.xz"
    found = [(m, text if m.name == "study.yaml" else raw) for m, raw in members(path)]
    for member, raw in found:
        member.size = len(raw)
    overrides = {"store": "/tmp/elsewhere-of-somebody"}
    rewrite(path, restated(found, study={"name": "tiny", "file": "../../study.yaml", "overrides": overrides}))
    assert main(["import", "full.tar.xz"]) == 0
    assert (here.folder / "results" / "runs").is_dir()
    assert not Path("/tmp/elsewhere-of-somebody").exists()
