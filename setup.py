"""Setup of the package: its wheel carries the page of `lesionclick serve`, which is built first. See pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent))  # builds are isolated from where the sources lie
from lesionclick.server.page_build import find_or_build_page


class BuildWithPage(build_py):
    """Builds the page, then gathers the package; an editable install leaves the page to the server's first start."""

    def run(self) -> None:
        """Runs the build."""
        if not self.editable_mode:
            find_or_build_page()
        super().run()


setup(cmdclass={"build_py": BuildWithPage})
