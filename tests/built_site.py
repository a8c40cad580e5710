"""The site of the pages, built once for all the processes that test at the same time."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
"""Names the run that several processes share; empty where there is one."""


def build(temporary):
    """The site's directory, the build's exit code, and what it had to say.

    Args:
        temporary: the directory of this process's tests; that of several stands in one of the run's.
    """
    directory = temporary.parent / f"site-{RUN}" if RUN else temporary / "site"
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = directory / "told.json"
        if not told.is_file():
            command = [sys.executable, "-W", "ignore", "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
            done = subprocess.run(
                [*command, "-d", directory / "doctrees", ROOT / "docs", directory / "html"],
                capture_output=True, text=True, check=False, timeout=170, cwd=directory,
            )  # fmt: skip
            told.write_text(json.dumps([done.returncode, done.stdout + done.stderr]))
        code, said = json.loads(told.read_text())
    return directory / "html", code, said
