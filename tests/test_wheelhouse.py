"""What `make wheelhouse` collects, and what OFFLINE=1 makes of it. Nothing here needs a network: packages are made up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from containers import wheelhouse

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
HERE = ".".join(map(str, sys.version_info[:3]))

# Packages, their locked versions, and what these need.
NEEDS = {
    "app": ("2.0", ["array>=1", "flow>=3", "tool[fast]"]),
    "array": ("1.5", ["base"]),
    "base": ("1.0", ["gone"]),
    "flow": ("3.1", ["Pack.Age<26", "base", "old; python_version < '3.12'", "web; extra == 'report'"]),
    "pack-age": ("25.0", []),
    "tool": ("1.1", ["base", "speed>=2; extra == 'fast'"]),
    "speed": ("2.0", ["wheels>=1"]),
    "wheels": ("1.0", []),
    "gone": ("1.0", []),
    "old": ("1.0", []),
    "web": ("1.0", []),
}


def wheel(folder: Path, name: str, version: str, needs: list[str], tag: str = "py3-none-any", **files: bytes) -> Path:
    """A wheel with nothing in it but some files."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        "Provides-Extra: fast",
        "Provides-Extra: report",
    ]
    contents = {
        **{f"{name}/{file}": content for file, content in files.items()},
        f"{stem}.dist-info/METADATA": "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs)]).encode(),
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{file},,\n" for file in [*contents, f"{stem}.dist-info/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as archive:
        for file, content in {**contents, f"{stem}.dist-info/RECORD": record.encode()}.items():
            archive.writestr(file, content)
    return folder / f"{stem}-{tag}.whl"


def describe(requirements: list[Requirement]) -> wheelhouse.Described:
    return {r.name: (Version(NEEDS[r.name][0]), [Requirement(need) for need in NEEDS[r.name][1]]) for r in requirements}


def chosen(has: dict[str, str], python: str = HERE) -> dict[str, str]:
    """What is collected for the package `app` on a machine that has some packages."""
    versions = {name: Version(version) for name, version in has.items()}
    lock = {name: Version(version) for name, (version, _) in NEEDS.items()}
    found = wheelhouse.choose([Requirement("app")], wheelhouse.environment(python), versions, lock, describe)
    return {name: str(version) for name, version in found.items()}


HAVES = [
    {},
    {"array": "1.2", "base": "0.9"},  # base is the machine's, without what a newer one needs
    {"array": "0.9", "base": "1.0", "gone": "2.0", "pack-age": "26.3"},  # too old for us, too new for another
    {"tool": "1.1", "base": "1.0", "gone": "1.0"},  # there, but perhaps without its extra
    {"flow": "3.0rc1", "base": "1.0", "gone": "1.0"},  # older than the version it is a candidate for
]


@pytest.mark.parametrize("has", HAVES)
def test_what_is_collected_is_what_pip_would_install(has: dict[str, str], tmp_path: Path) -> None:
    """By its own resolver, which is shown the locked versions as wheels, and the machine's as installed."""
    for name, (version, needs) in NEEDS.items():
        wheel(tmp_path / "index", name, version, needs)
    for name, version in has.items():
        with zipfile.ZipFile(wheel(tmp_path / "has", name, version, needs_of(name, version))) as archive:
            archive.extractall(tmp_path / "machine")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet", "--report=-", "app"],
        env={
            "PYTHONPATH": str(tmp_path / "machine"),
            "PIP_FIND_LINKS": str(tmp_path / "index"),
            "PIP_CONFIG_FILE": "/dev/null",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    reported = [each["metadata"] for each in json.loads(done.stdout)["install"]]
    assert chosen(has) == {each["name"]: each["version"] for each in reported}


def needs_of(name: str, version: str) -> list[str]:
    return [] if (name, version) == ("base", "0.9") else NEEDS[name][1]


def test_markers_are_those_of_the_machine() -> None:
    assert chosen({}, "3.11").keys() - chosen({}, "3.12").keys() == {"old"}
    assert [wheelhouse.environment(python)["python_full_version"] for python in ("3.12", "3.12.3")] == [
        "3.12.0",
        "3.12.3",
    ]
    assert "colorama" not in wheelhouse.locked(LOCK, wheelhouse.environment("3.12"))  # for Windows


def test_what_no_version_satisfies_is_refused() -> None:
    def collect(lock: dict[str, Version]) -> None:
        wheelhouse.choose(
            [Requirement("flow"), Requirement("base<1")], wheelhouse.environment("3.12"), {}, lock, describe
        )

    with pytest.raises(wheelhouse.RefusedError, match=r"^base 1.0 is what would be collected, but base<1 is wanted$"):
        collect({"base": Version("1.0")})


def test_a_package_that_is_not_locked_is_the_newest_that_is_allowed() -> None:
    requirements = [Requirement("a-b>=2"), Requirement("a-b<4"), Requirement("a-b")]
    assert wheelhouse.pinned("a-b", {}, requirements) == Requirement("a-b>=2,<4")
    assert wheelhouse.pinned("a-b", {}, requirements[-1:]) == Requirement("a-b")
    assert wheelhouse.pinned("a-b", {"a-b": Version("3")}, requirements) == Requirement("a-b==3")


@pytest.mark.parametrize(
    ("jax", "collected"), [("0.11.2", None), ("0.12.0.dev20261101+cuda", None), ("0.10.1", "locked"), (None, "locked")]
)
def test_jax_of_the_machine_is_used_where_its_version_is_allowed(jax: str | None, collected: str | None) -> None:
    machine = wheelhouse.environment("3.12")
    has = wheelhouse.installed(f"jax=={jax}\nnumpy==2.5.2\n" if jax else "")
    lock = wheelhouse.locked(LOCK, machine)
    found = wheelhouse.choose(
        wheelhouse.declared(PROJECT), machine, has, lock, lambda wanted: {r.name: (lock[r.name], []) for r in wanted}
    )
    assert found.get("jax") == (lock["jax"] if collected else None)
    assert ("numpy" in found) == (jax is None)
    assert found["snakemake"] == lock["snakemake"]


def test_extras_are_those_of_the_package() -> None:
    names = {requirement.name for requirement in wheelhouse.declared(PROJECT, ["dev"])}
    assert {"pytest", "jax", "grain", "snakemake-executor-plugin-slurm"} <= names
    assert not {"nmepkg", "torch"} & names
    with pytest.raises(wheelhouse.RefusedError, match=r"no extra 'gpu', but .*cuda13"):
        wheelhouse.declared(PROJECT, ["gpu"])


def test_both_forms_of_a_list_are_read() -> None:
    table = """
Package    Version   Editable project location
---------- --------- -------------------------
Jinja2     3.1.6
ml_dtypes  0.6.0+a   /home/me/ml_dtypes
"""
    assert wheelhouse.installed(table) == wheelhouse.installed("Jinja2==3.1.6\nml_dtypes==0.6.0+a\n")
    assert wheelhouse.installed(table) == {"jinja2": Version("3.1.6"), "ml-dtypes": Version("0.6.0+a")}


@pytest.mark.parametrize("line", ["jax @ file:///src/jax", "jax", "-e git+there", "jax==new"])
def test_a_line_that_is_no_package_is_refused(line: str) -> None:
    with pytest.raises(wheelhouse.RefusedError, match=r"pip list --format=freeze$") as caught:
        wheelhouse.installed(f"numpy==2.5.2\n{line}\n")
    assert repr(line) in str(caught.value)


@pytest.fixture
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip finds packages in."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_wheels_are_those_of_the_machine_and_of_the_oldest_glibc(own_index: Path, tmp_path: Path) -> None:
    for tag in ("cp312-cp312-manylinux_2_39_x86_64", "cp312-cp312-manylinux_2_17_x86_64", "cp311-cp311-linux_x86_64"):
        wheel(own_index, "array", "1.5", [tag], tag)
    wheel(own_index, "other", "1", ["array; extra == 'fast'"])
    index = wheelhouse.Index("3.12", tmp_path)
    found = index([Requirement("array==1.5"), Requirement("other")])
    assert found == {
        "array": (Version("1.5"), [Requirement("cp312-cp312-manylinux_2_17_x86_64")]),
        "other": (Version("1"), [Requirement("array; extra == 'fast'")]),
    }
    assert index.files["array", Version("1.5")].name == "array-1.5-cp312-cp312-manylinux_2_17_x86_64.whl"


def test_what_has_no_wheel_is_refused_in_one_line(own_index: Path, tmp_path: Path) -> None:
    wheel(own_index, "array", "1.5", [], "cp312-cp312-macosx_11_0_arm64")
    with pytest.raises(
        wheelhouse.RefusedError, match=r"^array==1.5 has no wheel for Python 3.12, and none can be built: .+$"
    ):
        wheelhouse.Index("3.12", tmp_path)([Requirement("array==1.5")])


def test_a_folder_is_made_whole_or_not_at_all(own_index: Path, tmp_path: Path) -> None:
    """Killed or refused, it leaves none; what is there is nobody's to delete."""
    out = tmp_path / "out" / "wheels"
    with pytest.raises(wheelhouse.RefusedError, match="has no wheel"):
        wheelhouse.collect("3.12", None, [], out)
    assert list(out.parent.iterdir()) == []
    mine = wheel(out, "mine", "1", [])
    with pytest.raises(wheelhouse.RefusedError, match=r"^.*wheels is there already: delete it, or name another"):
        wheelhouse.collect("3.12", None, [], out)
    assert list(out.iterdir()) == [mine]


def test_programs_for_other_systems_are_left_out(tmp_path: Path) -> None:
    """The rest is what it was, and the list of files agrees with them."""
    elf = b"\x7fELF%c" + b"\1" * 13 + b"%c"
    heads = {
        "x86": elf % (2, 62),
        "arm": elf % (2, 183),
        "x32": elf % (1, 3),
        "exe": b"MZ",
        "mac": b"\xcf\xfa\xed\xfe",
        "txt": b"#",
    }
    path = wheel(
        tmp_path, "solver", "1", [], small=b"MZ", **{name: head + bytes(2_000_000) for name, head in heads.items()}
    )
    with zipfile.ZipFile(path) as archive:
        before = {name: archive.read(name) for name in archive.namelist()}
    wheelhouse.slim(path)
    with zipfile.ZipFile(path) as archive:
        after = {name: archive.read(name) for name in archive.namelist()}
    assert before.keys() - after.keys() == {f"solver/{name}" for name in ("arm", "x32", "exe", "mac")}
    record = after.pop("solver-1.dist-info/RECORD").decode()
    assert [line.split(",")[0] for line in record.splitlines()] == [*after, "solver-1.dist-info/RECORD"]
    assert after == {name: before[name] for name in after}
    assert list(tmp_path.iterdir()) == [path]


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Calls make in a folder that has its file and nothing else, and without what a make that runs these tests was told."""
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.lock", "pyproject.toml"):
        (folder / name).touch()
    return subprocess.run(
        ["make", *words], cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )


def commands(folder: Path, *words: str) -> str:
    """What make would call."""
    done = make(folder, "--dry-run", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", ["figures", "test", "test-peers"])
def test_offline_installs_from_the_folder_alone(tmp_path: Path, target: str) -> None:
    installs = [line for line in commands(tmp_path, target).splitlines() if "pip install" in line]
    assert all("--constraint" in line and "--no-index" not in line for line in installs)
    offline = commands(tmp_path, target, "OFFLINE=1", "WHEELHOUSE=carried").splitlines()
    calls = [line for line in offline if "pip install" in line]
    assert len(calls) == len(installs) > 0
    assert all("--no-index --find-links carried --editable" in line and "--constraint" not in line for line in calls)
    assert [line for line in offline if "|| python3 -m venv .venv" in line]


def test_offline_is_beside_the_machines_packages_where_these_were_counted_on(tmp_path: Path) -> None:
    (tmp_path / "wheelhouse").mkdir()
    (tmp_path / "wheelhouse" / "machine.txt").touch()
    assert "|| python3 containers/beside.py .venv\n" in commands(tmp_path, "figures", "OFFLINE=1")
    assert "|| python3 -m venv .venv\n" in commands(tmp_path, "figures")


def test_offline_without_wheels_is_refused_in_one_line(tmp_path: Path) -> None:
    done = make(tmp_path, ".venv/figures.stamp", "OFFLINE=1", f"PYTHON={sys.executable}")
    assert done.returncode == 2
    assert done.stderr.startswith("There are no wheels in wheelhouse, from which OFFLINE=1 installs: collect them")
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("python", ["3.12", "no-such-python"])
def test_the_wanted_python_need_not_be_here(tmp_path: Path, python: str) -> None:
    called = commands(tmp_path, "wheelhouse", f"PYTHON={python}", "HAVE=its.txt", "EXTRAS=dev,slurm")
    assert "python3 -m venv .venv-wheelhouse\n" in called
    assert f"--python {python}" in called
    assert "--have its.txt --extras dev,slurm --out wheelhouse" in called
    assert "--python" not in commands(tmp_path, "wheelhouse", f"PYTHON={sys.executable}")


def test_an_environment_beside_has_the_packages_and_the_commands_of_its_python(tmp_path: Path) -> None:
    """Of this one, which is in a virtual environment itself, or is not."""
    subprocess.run([sys.executable, ROOT / "containers" / "beside.py", tmp_path / "new"], check=True)
    python = tmp_path / "new" / "bin" / "python"
    ask = "import pytest, sys; print(pytest.__file__, sys.prefix, sep='\\n')"
    asked = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines() == [pytest.__file__, str(tmp_path / "new")]
    pip = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in pip.stdout
    command = tmp_path / "new" / "bin" / "pytest"
    assert command.read_text(encoding="utf-8").startswith(f"#!{python}\n")
    assert (
        f"pytest {pytest.__version__}"
        in subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    )
