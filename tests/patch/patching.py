"""Patch a text in one line: this file, these sizes, this answer."""

from __future__ import annotations

from pathlib import Path

from rightsize.patch import PatchedFile, SizeChange, patch_files, unified_diff
from rightsize.quantity import parse_quantity
from rightsize.results import Component, Sizes

MIB = 2**20
CHARTS = Path(__file__).resolve().parents[1] / "charts"


def sizes(*texts: str | None) -> Sizes:
    """CPU request, CPU limit, memory request, memory limit, as quantities."""
    cpu, cpu_limit, memory, memory_limit = (
        None if text is None else parse_quantity(text) for text in (*texts, *[None] * 4)[:4]
    )
    return Sizes(cpu, cpu_limit, memory, memory_limit)


def change(
    component: Component,
    *texts: str | None,
    of: str | None = None,
    kind: str | None = None,
    bounds: tuple[int | None, int | None, int | None] = (None, None, None),
) -> SizeChange:
    """A change by quantities; `of` is `namespace/workload`; `bounds` are min, max, CPU target."""
    namespace, workload = of.split("/") if of else (None, None)
    return SizeChange(component, namespace, workload, kind, sizes(*texts), *bounds)


SIDECAR = change("sidecar", "35m", "1", "64Mi", "256Mi")
ISTIOD = change("istiod", "250m", None, "1Gi", of="istio-system/istiod", kind="Deployment")
GATEWAY = change("gateway", "50m", "1", "96Mi", "512Mi", of="istio-ingress/gw", kind="Deployment")


def patch_all(
    folder: Path, texts: dict[str, str], *changes: SizeChange, **flags: str
) -> dict[str, PatchedFile]:
    """Write files (in order) and patch them; the result by name, new files included."""
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        if path.name != "Chart.yaml":
            paths.append(path)
    patched = patch_files(paths, changes, **flags)
    return {
        file.path.relative_to(folder).as_posix()
        if file.path.is_absolute()
        else str(file.path): file
        for file in patched
    }


def patch_text(folder: Path, text: str, *changes: SizeChange, **flags: str) -> PatchedFile:
    """Patch one values file."""
    return patch_all(folder, {"values.yaml": text}, *changes, **flags)["values.yaml"]


def differences(file: PatchedFile) -> list[str]:
    """The changed lines, as `- old` and `+ new` with the indentation kept."""
    lines = unified_diff([file]).splitlines()[2:]
    return [line for line in lines if line[:1] in ("+", "-")]
