"""Scripts of jobs and workflows, run here: the program on the PATH, with each file it opens for writing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The program, with each file it opens for writing listed in $WRITTEN.
_WATCHED = """
import os, sys
noted = os.open(os.environ["WRITTEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, given):
    if event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR) and isinstance(given[0], str):
        os.write(noted, (os.path.abspath(given[0]) + "\\n").encode())
sys.dont_write_bytecode = True  # An image has its bytecode already.
sys.addaudithook(note)
from rightsize.cli import run
run()
"""


def job_environment(folder: Path) -> dict[str, str]:
    """An environment with `rightsize` and `python` on the PATH, and a HOME that nobody can write."""
    bin_folder = folder / "bin"
    for name in ("bin", "matplotlib", "tmp", "runner"):
        (folder / name).mkdir(parents=True)
    program(bin_folder / "rightsize", f"#!{sys.executable}\n{_WATCHED}")
    (bin_folder / "python").symlink_to(sys.executable)
    return {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "HOME": "/proc/nobody",
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "TMPDIR": str(folder / "tmp"),
        "RUNNER_TEMP": str(folder / "runner"),
        "WRITTEN": str(folder / "written"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def run_script(
    text: str, cwd: Path, env: dict[str, str], *options: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner does, with `options` as its arguments."""
    command = ["bash", "-ec", text, "rightsize", *options]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def program(path: Path, text: str) -> Path:
    """A program of that text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def calendar(folder: Path, today: str) -> str:
    """Put a `date` on the PATH that takes this for today; return what to prepend to PATH."""
    real = shutil.which("date")
    text = f'#!/bin/sh\n[ "$2" = -d ] && exec {real} "$@"\nexec {real} -u -d {today} "$2"\n'
    return f"{program(folder / 'bin' / 'date', text).parent}:"


def shell_faults(text: str, shell: str, checker: str) -> str:
    """What shellcheck says about a script."""
    command = [checker, f"--shell={shell}", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return done.stdout
