"""Has wheels carry the workflow, which lies beside the package: `nmepkg/project/`. All else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithWorkflow(build_py):
    """Copies the Snakefile, its rules and scripts, profiles and studies into the package that is built."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            project = Path(self.build_lib, "nmepkg", "project")
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "site.yaml")
            for name in ("workflow", "profiles", "config"):
                shutil.copytree(name, project / name, dirs_exist_ok=True, ignore=ignored)
            shutil.copy("Snakefile", project)


setup(cmdclass={"build_py": WithWorkflow})
