"""Collects the wheels that a machine without a network lacks, in a folder to carry there: `make wheelhouse`, docs/cluster.md.

It needs `packaging` and pip, and nothing of this project. What the machine has in an allowed version is used, and so is what
that needs, which the machine has then as well. All else is collected in the version of requirements.lock.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]

# The oldest glibc first, as pip takes a wheel of the first that there is: it runs on most machines.
PLATFORMS = ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64"]
PLATFORMS += [f"manylinux_2_{minor}_x86_64" for minor in range(5, 40)] + ["linux_x86_64"]

Described = dict[str, tuple[Version, list[Requirement]]]
Describe = Callable[[list[Requirement]], Described]


class RefusedError(Exception):
    """What cannot be collected, in one line."""


def environment(python: str) -> dict[str, str]:
    """What markers ask of a machine: Linux on x86-64, with CPython `python`, as "3.12" or "3.12.3"."""
    full = ".".join(f"{python}.0".split(".")[:3])
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
        "sys_platform": "linux",
    }


def applies(requirement: Requirement, machine: dict[str, str], extras: Iterable[str] = ()) -> bool:
    """Whether a package that is installed with some extras has a requirement on a machine."""
    return requirement.marker is None or any(
        requirement.marker.evaluate({**machine, "extra": extra}) for extra in ("", *extras)
    )


def installed(text: str) -> dict[str, Version]:
    """What a machine has, by its `pip list`: with `--format=freeze`, or the table."""
    found: dict[str, Version] = {}
    for line in text.splitlines():
        words = line.replace("==", " ").split()
        if not words or words[0] == "Package" or set(words[0]) == {"-"}:
            continue
        try:
            found[canonicalize_name(words[0], validate=True)] = Version(words[1])
        except (IndexError, ValueError):
            raise RefusedError(
                f"{line!r} is no package and its version: make that file by pip list --format=freeze"
            ) from None
    return found


def locked(text: str, machine: dict[str, str]) -> dict[str, Version]:
    """The versions of requirements.lock for a machine."""
    requirements = [Requirement(line) for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {
        canonicalize_name(requirement.name): Version(next(iter(requirement.specifier)).version)
        for requirement in requirements
        if applies(requirement, machine)
    }


def declared(project: dict[str, Any], extras: Iterable[str] = ()) -> list[Requirement]:
    """What pyproject.toml's `project` asks for, with some of its extras."""
    requirements = [Requirement(text) for text in project["dependencies"]]
    for extra in extras:
        if extra not in project["optional-dependencies"]:
            raise RefusedError(
                f"pyproject.toml has no extra {extra!r}, but {', '.join(project['optional-dependencies'])}"
            )
        for requirement in map(Requirement, project["optional-dependencies"][extra]):
            own = requirement.name == project["name"]
            requirements += declared(project, requirement.extras) if own else [requirement]
    return requirements


def allowed(version: Version, requirements: list[Requirement]) -> bool:
    """Whether a version is in all ranges; a pre-release counts, as pip keeps one that is installed."""
    return all(requirement.specifier.contains(version, prereleases=True) for requirement in requirements)


def choose(
    requirements: list[Requirement],
    machine: dict[str, str],
    has: dict[str, Version],
    lock: dict[str, Version],
    describe: Describe,
) -> dict[str, Version]:
    """The packages to collect: those that a machine lacks, or has in a version that is not allowed.

    Args:
        requirements: What is wanted.
        machine: What its markers ask of the machine.
        has: The packages of the machine. What they need, it has as well, but for extras, of which `pip list` says nothing.
        lock: The versions to collect. Of a package that has none there, the newest that is allowed.
        describe: Version and requirements of packages, by name.

    Raises:
        RefusedError: No version is allowed by all that is wanted.
    """
    asked: dict[str, list[Requirement]] = defaultdict(list)
    chosen: Described = {}
    waiting = [requirement for requirement in requirements if applies(requirement, machine)]
    while waiting:
        names = {canonicalize_name(requirement.name) for requirement in waiting}
        for requirement in waiting:
            asked[canonicalize_name(requirement.name)].append(requirement)
        lacking = {name for name in names if name not in has or not allowed(has[name], asked[name])} - chosen.keys()
        chosen |= describe([pinned(name, lock, asked[name]) for name in sorted(lacking)])
        waiting = []
        for name in sorted(names):
            version = chosen[name][0] if name in chosen else has[name]
            extras = {extra for requirement in asked[name] for extra in requirement.extras}
            needs = []
            if not allowed(version, asked[name]):
                wanted = " and ".join(sorted({str(requirement) for requirement in asked[name]}))
                raise RefusedError(f"{name} {version} is what would be collected, but {wanted} is wanted")
            if name in chosen:
                needs = [need for need in chosen[name][1] if applies(need, machine, extras)]
            elif extras:
                ((_, all_needs),) = describe([Requirement(f"{name}=={version.public}")]).values()
                needs = [need for need in all_needs if applies(need, machine, extras) and not applies(need, machine)]
            waiting += [need for need in needs if need not in asked[canonicalize_name(need.name)]]
    return {name: version for name, (version, _) in chosen.items()}


def pinned(name: str, lock: dict[str, Version], requirements: list[Requirement]) -> Requirement:
    """A package in the version that is locked, or in any that is allowed."""
    if name in lock:
        return Requirement(f"{name}=={lock[name]}")
    return Requirement(name + ",".join(sorted({str(requirement.specifier) for requirement in requirements} - {""})))


class Index:
    """Wheels for a version of Python, by pip, in a folder for what may not be wanted in the end: `files` says where each is."""

    def __init__(self, python: str, folder: Path) -> None:
        self.python, self.folder, self.files = python, folder, dict[tuple[str, Version], Path]()
        self.download = ["download", "--only-binary=:all:", f"--python-version={python}", "--implementation=cp"]
        self.download += [f"--platform={platform}" for platform in PLATFORMS]

    def __call__(self, requirements: list[Requirement]) -> Described:
        """Version and requirements of each, as its wheel has them."""
        wheels = Path(tempfile.mkdtemp(dir=self.folder))
        if requirements and pip(*self.download, "--dest", wheels, *requirements):
            for requirement in requirements:
                if pip(*self.download, "--dest", wheels, requirement):
                    self.build(requirement, wheels)
        found: Described = {}
        for path in wheels.glob("*.whl"):
            name, version, *_ = parse_wheel_filename(path.name)
            found[name] = version, requirements_of(path)
            self.files[name, version] = path
        return found

    def build(self, requirement: Requirement, wheels: Path) -> None:
        """The wheel of a package that has only its sources, if that is the same for all machines."""
        built = wheels / "built"
        error = pip("wheel", f"--no-binary={requirement.name}", "--wheel-dir", built, requirement)
        if error:
            raise RefusedError(f"{requirement} has no wheel for Python {self.python}, and none can be built: {error}")
        (wheel,) = built.glob("*.whl")
        if not wheel.stem.endswith("-none-any"):
            raise RefusedError(
                f"{requirement} has no wheel for Python {self.python}, and is compiled for each machine: "
                "choose another Python, or install it there first"
            )
        wheel.rename(wheels / wheel.name)


def pip(*arguments: object) -> str:
    """Calls pip for packages alone, without what they need. The last error that it reports, if it fails."""
    words = [arguments[0], "--quiet", "--disable-pip-version-check", "--no-deps", *arguments[1:]]
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, words)], capture_output=True, text=True)
    lines = [line.strip() for line in done.stderr.splitlines()] or ["pip failed"]
    return ([line for line in lines if line.startswith("ERROR")] or lines)[-1] if done.returncode else ""


def requirements_of(wheel: Path) -> list[Requirement]:
    """What a wheel needs."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return [Requirement(text) for text in BytesParser().parsebytes(archive.read(path)).get_all("Requires-Dist", [])]


def slim(wheel: Path) -> None:
    """Leaves out of a wheel for all systems the large programs for others than Linux on x86-64: most of PuLP's 16 MB."""
    smaller = wheel.with_suffix(".smaller")
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(smaller, "w", zipfile.ZIP_DEFLATED) as kept:
        members = archive.infolist()
        foreign = {each.filename for each in members if each.file_size > 1e6 and is_foreign(archive.read(each)[:20])}
        for member in members:
            content = archive.read(member)
            if member.filename.endswith(".dist-info/RECORD"):
                lines = content.splitlines(keepends=True)
                content = b"".join(line for line in lines if line.decode().rsplit(",", 2)[0] not in foreign)
            if member.filename not in foreign:
                kept.writestr(member, content)
    if foreign:
        smaller.rename(wheel)
    else:
        smaller.unlink()


def is_foreign(head: bytes) -> bool:
    """Whether a file begins as a program of Windows or macOS, or as one of Linux for another processor than x86-64."""
    if head.startswith(b"\x7fELF"):
        return (head[4], head[18]) != (2, 62)
    return head.startswith((b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe"))


def main() -> None:
    """Collects, says what, and puts it in place as a whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--python", default=own, help="the machine's version of Python, as 3.12 or 3.12.3")
    parser.add_argument("--have", type=Path, help="file with the machine's `pip list --format=freeze`")
    parser.add_argument("--extras", default="", help="of pyproject.toml, separated by commas")
    parser.add_argument("--out", type=Path, default=ROOT / "wheelhouse")
    options = parser.parse_args()
    try:
        collect(options.python, options.have, [extra for extra in options.extras.split(",") if extra], options.out)
    except (RefusedError, OSError) as error:
        sys.exit(f"wheelhouse: {error}")


def collect(python: str, have: Path | None, extras: list[str], out: Path) -> None:
    """Makes the folder `out`, whole or not at all.

    Raises:
        RefusedError: It is there and not empty, so that nobody's wheels are lost, or one cannot be collected.
    """
    if out.exists() and any(out.iterdir()):
        raise RefusedError(f"{out} is there already: delete it, or name another folder by WHEELHOUSE=")
    if not re.fullmatch(r"3\.\d+(\.\d+)?", python):
        raise RefusedError(f"PYTHON={python} is no version, as 3.12 is")
    machine = environment(python)
    lock = locked((ROOT / "requirements.lock").read_text(encoding="utf-8"), machine)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    has = installed(have.read_text(encoding="utf-8")) if have else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that what is whole is renamed and not copied.
    with tempfile.TemporaryDirectory(prefix=".wheelhouse-", dir=out.parent) as scratch:
        index = Index(python, Path(scratch))
        chosen = choose(declared(pyproject["project"], extras), machine, has, lock, index)
        # pip builds this package in an environment of its own, where nothing is the machine's.
        tools = [Requirement(text) for text in pyproject["build-system"]["requires"]]
        wheels = choose(tools, machine, {}, lock, index) | chosen
        whole = Path(scratch) / "whole"
        whole.mkdir()
        total = 0
        for name, version in sorted(wheels.items()):
            wheel = index.files[name, version].rename(whole / index.files[name, version].name)
            if wheel.stem.endswith("-any"):
                slim(wheel)
            total += wheel.stat().st_size
            purpose = f", in place of the machine's {has[name]}" if name in has else ""
            purpose = purpose if name in chosen else ", to build this package"
            print(f"{wheel.stat().st_size / 1e6:8.2f} MB  {name} {version}{purpose}")
        if have:
            # By this, `make … OFFLINE=1` knows that the machine's packages are counted on.
            shutil.copy(have, whole / "machine.txt")
        whole.rename(out)
    print(f"{total / 1e6:8.2f} MB  {len(wheels)} wheels for Python {python} in {out}")


if __name__ == "__main__":
    main()
