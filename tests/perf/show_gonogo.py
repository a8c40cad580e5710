"""The go/no-go review after a full load test, three times: as it is, with one canary's field opened, and with the scanner weakened.

    python tests/perf/show_gonogo.py DIR [--calls 10] [--minutes 5]

Each is the real command with the shipped gates, in processes of its own, on a new trace store; two people's reviews are made by the parts
behind the review's terminal, since nobody sits at it. Ends with 0 if it came to GO (signed, and verified), NO-GO (switch off and held) and
UNPROVEN, and with 1 if anything came to anything else. Takes about 25 minutes of a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "cli")]

import test_gonogo_command as parts  # noqa: E402  # stands beside us, in the tests' own folder

from audit import exits  # noqa: E402


def tell(began: float, *words: object) -> None:
    """A line of what is going on."""
    sys.stdout.write(" ".join([f"{time.monotonic() - began:7.0f} s", *map(str, words)]) + "\n")
    sys.stdout.flush()


def outcome(told: dict) -> str:
    """The review's answer in a line, its reasons, and its switch."""
    gates = [gate["state"] for week in told["weeks"] for gate in week["gates"]]
    counts = ", ".join(f"{gates.count(state)} {state}" for state in ("proven", "failed", "unproven"))
    steps = "; ".join(f"{step['name']}: {step['said']}" for step in told["steps"])
    return "\n          ".join([f"{told['outcome']} exit {told['exit_code']}, gates: {counts}", steps, *told["reasons"], told["switch"]])


def show(home: Path, calls: int, minutes: float) -> bool:
    """Hold the reviews; whether each came to what it should."""
    began = time.monotonic()
    here = parts.Clinic(home)
    load = ("--local", "--calls", calls, "--minutes", minutes)

    def audit(*args: object) -> tuple[int, str]:
        process = here.start(*args)
        out, err = process.communicate()
        for line in err.splitlines()[-12:]:
            tell(began, "   ", line)
        return process.returncode, out

    def gonogo(directory: str, *args: object) -> dict:
        code, out = audit("gonogo", "-d", directory, *args, "--format", "json")
        nothing = {"outcome": "", "exit_code": code, "weeks": [], "steps": [], "reasons": [out], "switch": ""}
        told = json.loads(out) if out.startswith("{") else nothing
        told["code"] = code
        tell(began, directory, outcome(told))
        return told

    here.audit("switch", "on", "--reason", "before the review")
    waiting = gonogo("review", *load)
    shutil.copytree(home / "review", home / "weak")
    for name in ("ada", "cleo"):
        public = json.loads(here.audit("keys", "new", name, "--format", "json")[0])["public_key"]
        here.audit("keys", "trust", name, public, "--role", "approver")
    ada, ben = parts.review(here, "ada"), parts.review(here, "ben")
    go = gonogo("review", "--resume", "--review", ada, "--review", ben, "--sign", "cleo", "--name", "cleo")
    verified, said = audit("verify", "review/report.json", ada, ben, "--require", "approver")
    tell(began, "verify", verified, said.strip().replace("\n", "\n          "))
    weak = gonogo("weak", "--resume", "--without", "presidio")
    parts.opened_policy(home / "opened.yaml")
    opened = gonogo("opened", *load, "--policy", "opened.yaml", "--no-measure", "--evidence", "review/alerts.json", "--enforce")
    state = json.loads(here.audit("switch", "status", "--format", "json")[0])
    tell(began, "switch", "on" if state["on"] else f"off, held for {state['hold']}")
    came = (waiting["code"], go["code"], verified, weak["code"], opened["code"], state["on"], state["hold"])
    return came == (exits.UNPROVEN, exits.GO, 0, exits.UNPROVEN, exits.NO_GO, False, "leak")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=5.0)
    asked = parser.parse_args()
    asked.directory.mkdir(parents=True)
    return 0 if show(asked.directory.resolve(), asked.calls, asked.minutes) else 1


if __name__ == "__main__":
    sys.exit(main())
