"""Runs the command as a user does, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def rightsize(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from rightsize.cli import run; run()"]
    command += [str(argument) for argument in arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
