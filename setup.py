"""What pyproject.toml cannot say: a wheel also brings what `multires-ref tutorials` and `multires-ref figures` read."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("tutorials", "figures")  # found again by multires_ref/base/files.py
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")  # of the site


class BuildWithResources(build_py):
    """Copies them into `multires_ref/resources` of what is built; an editable installation reads them where they are."""

    def run(self):
        super().run()
        if not self.editable_mode:
            resources = Path(self.build_lib) / "multires_ref" / "resources"
            unwanted = shutil.ignore_patterns("__pycache__", ".*", "ruff.toml")
            for name in FOLDERS:
                shutil.copytree(name, resources / name, ignore=unwanted, dirs_exist_ok=True)
            for name in PAGES:
                shutil.copy(name, resources)


setup(cmdclass={"build_py": BuildWithResources})
