"""Makes a virtual environment that has all packages of the Python that runs this: `make … OFFLINE=1`, docs/cluster.md.

    python containers/beside.py .venv

A Python that is in a virtual environment itself lends the packages of that, where --system-site-packages is those beneath. And
its packages' commands, `pytest` say, are there as well, run by the new environment's Python.
"""

import site
import sys
import venv
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path


def pth(folders: list[str]) -> str:
    """Lines of a .pth file by which Python looks into other folders for packages, and reads the .pth files there."""
    return "".join(f"import site; site.addsitedir({folder!r})\n" for folder in folders)


def command(python: Path, entry: EntryPoint) -> str:
    """A script that runs a command of a package with another Python."""
    call = f"EntryPoint({entry.name!r}, {entry.value!r}, {entry.group!r}).load()()"
    return f"#!{python}\nimport sys\nfrom importlib.metadata import EntryPoint\n\nsys.exit({call})\n"


def make(folder: Path) -> None:
    """Makes the environment, without a pip of its own: the machine has one, and often no ensurepip."""
    venv.create(folder, system_site_packages=True, symlinks=True)
    if sys.prefix != sys.base_prefix:
        (packages,) = folder.glob("lib/python3*/site-packages")
        (packages / "machine.pth").write_text(pth(site.getsitepackages()), encoding="utf-8")
    for entry in entry_points(group="console_scripts"):
        script = folder.resolve() / "bin" / entry.name
        if not script.exists():
            script.write_text(command(script.with_name("python"), entry), encoding="utf-8")
            script.chmod(0o755)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
