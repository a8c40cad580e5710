"""The site, built once for whoever looks at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The site's directory and what the build had to say; the pages are those of the checkout, everything made is elsewhere."""
    pytest.importorskip("sphinx")
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "ignore", "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", directory / "doctrees", ROOT / "docs", directory / "html"],
        capture_output=True, text=True, check=False, timeout=170, cwd=directory,
    )  # fmt: skip
    return directory / "html", done.returncode, done.stdout + done.stderr
