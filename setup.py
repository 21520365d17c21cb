"""What pyproject.toml cannot say: a wheel also brings the tutorials and the stored data of the figures."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RESOURCES = ("tutorials", "figures/data")  # found again by multires_ref/base/files.py


class BuildWithResources(build_py):
    """Copies the folders into `multires_ref/resources` of what is built; an editable installation reads them where they are."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for name in RESOURCES:
                target = Path(self.build_lib) / "multires_ref" / "resources" / name
                unwanted = shutil.ignore_patterns("__pycache__", ".*", "ruff.toml")
                shutil.copytree(name, target, ignore=unwanted, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithResources})
