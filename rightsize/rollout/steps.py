"""What is done in a phase: its files, its commands, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rightsize.border import command, word
from rightsize.files.shell import Change

_ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, slots=True)
class Step:
    """One action. Commands run in the plan's folder."""

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
    version = word(istio_version) if istio_version else '"$ISTIO_VERSION"'
    kept = " --reuse-values" if reuse else ""
    given = "".join(f" -f {word(file)}" for file in files)
    upgrade = command("helm", "upgrade", release, f"istio/{chart}", "-n", namespace)
    return f"{upgrade} --version {version}{kept}{given}"


def helm_back(release: str, namespace: str) -> str:
    """Back to the release before; an upgrade made since then goes as well."""
    return command("helm", "rollback", release, "-n", namespace)


def restart(kind: str | None, namespace: str, workload: str) -> Change:
    """Restart a workload and wait for it; no command for kinds that take sizes only when they run."""
    commands: tuple[str, ...] = ()
    if kind == "Rollout":
        commands = (
            command("kubectl", "argo", "rollouts", "restart", workload, "-n", namespace),
            _argo_status(workload, namespace),
        )
    elif kind in _ROLLED_OUT:
        target = f"{kind.lower()}/{workload}"
        commands = (
            command("kubectl", "rollout", "restart", target, "-n", namespace),
            _status(target, namespace),
        )
    return _change(kind or "Deployment", namespace, workload, commands)


def patch(kind: str, namespace: str, workload: str, file: str) -> Change:
    """Patch a workload's pod template and wait for the pods it makes."""
    # Strategic merge patches are for Kubernetes' own kinds.
    how = ("--type", "merge") if kind == "Rollout" else ()
    commands: tuple[str, ...] = (
        command(
            "kubectl", "patch", resource_of(kind), workload, "-n", namespace, *how,
            "--patch-file", file,
        ),
    )  # fmt: skip
    if kind in _ROLLED_OUT:
        commands += (_status(f"{kind.lower()}/{workload}", namespace),)
    elif kind == "Rollout":
        commands += (_argo_status(workload, namespace),)
    return _change(kind, namespace, workload, commands)


def resource_of(kind: str) -> str:
    """The resource that kubectl knows a kind of workload by."""
    return "rollouts.argoproj.io" if kind == "Rollout" else kind.lower()


def _change(kind: str, namespace: str, workload: str, commands: tuple[str, ...]) -> Change:
    target = (resource_of(kind), workload, "-n", namespace)
    return Change(f"{namespace}/{workload}", target, commands)


def _status(target: str, namespace: str) -> str:
    return command("kubectl", "rollout", "status", target, "-n", namespace, "--timeout=15m")


def _argo_status(workload: str, namespace: str) -> str:
    words = ("kubectl", "argo", "rollouts", "status", workload, "-n", namespace)
    return command(*words, "--timeout", "15m")
