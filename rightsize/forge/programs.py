"""git and the forges' own programs, run with words and never through a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rightsize.border import printable_lines
from rightsize.errors import OutputError, ToolMissingError
from rightsize.secrets import blanked

_SECONDS = 300
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GH_PROMPT_DISABLED": "1", "NO_PROMPT": "1", "LC_ALL": "C"}
"""Nobody is there to answer a question."""


def run(words: Sequence[str | Path], folder: Path, *, given: str | None = None) -> str:
    """What a program printed.

    Raises
    ------
    ToolMissingError
        If it is not to be found.
    OutputError
        If it fails, with what it said, or takes too long.
    """
    done = _done(words, folder, given)
    if done.returncode != 0:
        said = printable_lines(blanked((done.stderr or done.stdout).strip()))[-600:]
        shown = " ".join(str(word) for word in words[:3])
        raise OutputError(f"{shown} failed: {said or f'exit code {done.returncode}'}")
    return done.stdout


def succeeds(words: Sequence[str | Path], folder: Path) -> bool:
    """Whether a program that asks a question says yes."""
    return _done(words, folder, None).returncode == 0


def _done(
    words: Sequence[str | Path], folder: Path, given: str | None
) -> subprocess.CompletedProcess[str]:
    program = shutil.which(str(words[0]))
    if program is None:
        raise ToolMissingError(
            f"{words[0]} is not to be found", hint="install it, or add it to PATH"
        )
    try:
        return subprocess.run(
            [program, *words[1:]], cwd=folder, input=given if given is not None else "",
            env={**os.environ, **_QUIET}, capture_output=True, text=True, errors="replace",
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except OSError as error:
        raise OutputError(f"{words[0]} does not run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise OutputError(f"{words[0]} took more than {_SECONDS} s") from error
