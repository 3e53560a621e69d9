"""What is done in a phase: its files, its commands, and the way back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. Commands run in the plan's folder."""

    text: str
    commands: tuple[str, ...] = ()
    language: Literal["sh", "text"] = "sh"
    """`text` is to be read and not run."""


@dataclass(frozen=True)
class PhaseFiles:
    """Files by name within the phase's folder, steps in order, and the way back."""

    steps: tuple[Step, ...]
    back: tuple[Step, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def script(commands: Sequence[str], comment: str) -> str:
    """A shell script that stops at the first failure."""
    return "\n".join(["#!/bin/sh", *(f"# {line}" for line in comment.splitlines()), "set -e",
                      *commands, ""])  # fmt: skip


def helm_upgrade(
    release: str,
    chart: str,
    namespace: str,
    files: Sequence[str],
    *,
    istio_version: str | None,
    reuse: bool,
) -> str:
    """`helm upgrade` to the release that runs, so that nothing but the values changes.

    With `reuse`, `files` are laid over the values in force; without, they are all there is.
    """
    version = istio_version or '"$ISTIO_VERSION"'
    kept = " --reuse-values" if reuse else ""
    given = "".join(f" -f {shlex.quote(file)}" for file in files)
    return f"helm upgrade {release} istio/{chart} -n {namespace} --version {version}{kept}{given}"


def helm_back(release: str, namespace: str) -> str:
    """Back to the release before; an upgrade made since then goes as well."""
    return f"helm rollback {release} -n {namespace}"


def restart(kind: str | None, namespace: str, workload: str) -> list[str]:
    """Restart a workload and wait for it; nothing for kinds that only take sizes when they run."""
    if kind == "Rollout":
        return [
            f"kubectl argo rollouts restart {workload} -n {namespace}",
            f"kubectl argo rollouts status {workload} -n {namespace} --timeout 15m",
        ]
    if kind not in ("Deployment", "StatefulSet", "DaemonSet"):
        return []
    target = f"{kind.lower()}/{workload}"
    return [
        f"kubectl rollout restart {target} -n {namespace}",
        f"kubectl rollout status {target} -n {namespace} --timeout=15m",
    ]


def patch(kind: str, namespace: str, workload: str, file: str) -> list[str]:
    """Patch a workload's pod template and wait for the pods it makes."""
    resource = "rollouts.argoproj.io" if kind == "Rollout" else kind.lower()
    # Strategic merge patches are for Kubernetes' own kinds.
    how = " --type merge" if kind == "Rollout" else ""
    commands = [
        f"kubectl patch {resource} {workload} -n {namespace}{how} --patch-file {shlex.quote(file)}"
    ]
    if kind in ("Deployment", "StatefulSet", "DaemonSet"):
        commands.append(
            f"kubectl rollout status {kind.lower()}/{workload} -n {namespace} --timeout=15m"
        )
    elif kind == "Rollout":
        commands.append(f"kubectl argo rollouts status {workload} -n {namespace} --timeout 15m")
    return commands
