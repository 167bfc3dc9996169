"""A folder for a study of one's own, with code of one's own, which runs at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from nmepkg.errors import UserError
from nmepkg.study.editors import json_schema
from nmepkg.study.load import load

_PACKAGE = Path(__file__).resolve().parents[1]


def workflow() -> Path:
    """The folder of the Snakefile: that beside the package in a clone, and within it where a wheel is installed (setup.py).

    Raises:
      UserError: there is none.
    """
    for folder in (_PACKAGE.parent, _PACKAGE / "project"):
        if (folder / "Snakefile").exists():
            return folder
    raise UserError(f"{_PACKAGE}: no Snakefile beside it nor in it; install nmepkg from a wheel, or use a clone")


def new(folder: Path) -> None:
    """Makes a folder with a study, an extension, a Snakefile that uses the workflow as a module, and a profile.

    Raises:
      UserError: something is there already.
    """
    profile = workflow() / "profiles" / "local"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there, and not empty; name another folder")
    shutil.copytree(
        _PACKAGE / "template", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    # Snakemake takes this one unasked.
    shutil.copytree(profile, folder / "profiles" / "default")
    study = folder / "study.yaml"
    load(study)
    (folder / "study.schema.json").write_text(schema(), encoding="utf-8")


def schema() -> str:
    """The JSON Schema of a study, with what has been registered by now, as text."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
