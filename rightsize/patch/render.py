"""What a chart renders, as one flat table of values."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rightsize.errors import ToolMissingError, VerificationError
from rightsize.files.tree import FlawError, position
from rightsize.files.tree import Path as Keys
from rightsize.files.yaml_text import from_yaml

Place = tuple[str, Keys]
"""An object, as `Deployment istiod`, and a path in it; named list items go by name."""
Leaves = dict[Place, str]
"""Place -> value as JSON."""
RENDER_SECONDS = 120


def find_helm(helm: str) -> str:
    """The path of the user's Helm."""
    program = shutil.which(helm)
    if program is None:
        raise ToolMissingError(f"{helm} is not on PATH", hint="Install Helm 3 or 4.")
    return program


def render(helm: str, chart_dir: Path, files: Sequence[Path], release: tuple[str, str]) -> Leaves:
    """Render a chart for a release (name, namespace) with values files in their order."""
    command = [helm, "template", release[0], str(chart_dir), "--namespace", release[1]]
    for file in files:
        command += ["--values", str(file)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=RENDER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise VerificationError(f"{' '.join(command)}: no answer in {RENDER_SECONDS} s") from error
    if done.returncode != 0:
        raise VerificationError(
            f"{' '.join(command)} failed: {done.stderr.strip()}",
            hint="Charts of Istio's older patches need Helm before 3.18.5; see docs/patching.md.",
        )
    leaves: Leaves = {}
    seen: Counter[str] = Counter()
    for document in _documents(command, done.stdout):
        if isinstance(document, dict):
            title = _title_of(document, release[1])
            seen[title] += 1
            if seen[title] > 1:
                title += f" (number {seen[title]})"
            for path, value in _walk(document, ()):
                leaves[title, path] = value
    return leaves


def _documents(command: Sequence[str], text: str) -> list[object]:
    try:
        return from_yaml(text)
    except FlawError as flaw:
        line, _ = position(text, flaw.index)
        raise VerificationError(
            f"{' '.join(command)}: line {line} of what it renders cannot be read: {flaw.what}"
        ) from flaw


def _title_of(document: dict[str, object], namespace: str) -> str:
    """Kind and name of an object, with its namespace if that is another than the release's."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    own = metadata.get("namespace", namespace)
    elsewhere = "" if own == namespace else f" in {own}"
    return f"{document.get('kind', 'document')} {metadata.get('name', '')}{elsewhere}"


def _walk(value: object, path: Keys) -> Iterator[tuple[Keys, str]]:
    """Every leaf; JSON in a string is opened, lists of named items are keyed by name."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _walk(child, (*path, str(key)))
    elif isinstance(value, list) and value:
        for number, child in enumerate(value):
            name = child.get("name") if isinstance(child, dict) else None
            step = name if isinstance(name, str) else number
            yield from _walk(child, (*path, step))
    elif isinstance(value, str) and value.startswith("{") and value.rstrip().endswith("}"):
        try:
            yield from _walk(json.loads(value), path)
        except ValueError:
            yield path, value
    else:
        yield path, json.dumps(value, default=str)
