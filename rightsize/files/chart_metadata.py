"""What names and a Chart.yaml say: which of Istio's charts this is, of which release, and its parts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.known import Version, parse_version
from rightsize.files.source import read_source

Chart = Literal["istiod", "gateway", "ztunnel", "cni", "base"]

CHART_NAMES: dict[str, Chart] = {
    "istiod": "istiod",
    "istio-discovery": "istiod",
    "gateway": "gateway",
    "istio-gateway": "gateway",
    "ztunnel": "ztunnel",
    "cni": "cni",
    "istio-cni": "cni",
    "base": "base",
    "istio-base": "base",
}
_REPOSITORIES = {
    "https://github.com/istio/istio",
    "https://github.com/istio-ecosystem/sail-operator",
}
OWN_NAMES = frozenset(CHART_NAMES) - {"gateway", "cni", "base"}
"""Names of charts that nobody else's chart has."""


@cache
def _read_chart_yaml(path: Path, modified: int) -> tree.Node | None:
    try:
        return read_source(path).documents[0].root
    except (InputFileError, IndexError):
        return None


def chart_yaml(path: Path | None) -> tree.Node | None:
    """The Chart.yaml beside a values file; None where there is none that can be read."""
    if path is None or path.name == "Chart.yaml":
        return None
    beside = path.parent / "Chart.yaml"
    try:
        return _read_chart_yaml(beside, beside.stat().st_mtime_ns)
    except OSError:
        return None


def is_vendored(path: Path) -> bool:
    """Whether a file belongs to a copy of one of Istio's own charts, templates and all."""
    for folder in list(path.parents)[:2]:
        if (folder / "templates").is_dir():
            metadata = chart_yaml(folder / "values.yaml")
            if _is_istios_own(metadata) and not istio_dependencies(metadata):
                return True
    return _defines_profile(path)


_PROFILES = frozenset(
    [
        "ambient",
        "default",
        "demo",
        "empty",
        "minimal",
        "openshift",
        "openshift-ambient",
        "preview",
        "remote",
        "stable",
    ]
)
_SEVERAL_PROFILES = 3
PROFILE_FOLDERS = ("profiles", "helm-profiles", "files")


def _defines_profile(path: Path) -> bool:
    """Whether a file is one of Istio's own profiles, beside others of them.

    `manifests/helm-profiles`, `files/profile-NAME.yaml` of a chart, `profiles` of the Sail operator:
    what a profile sets is no choice of whoever keeps a copy of all of them.
    """
    if path.parent.name not in PROFILE_FOLDERS or not _is_profile(path):
        return False
    try:
        beside = sum(_is_profile(one) for one in path.parent.iterdir())
    except OSError:
        return False
    return beside >= _SEVERAL_PROFILES


def _is_profile(path: Path) -> bool:
    name = path.stem
    if path.parent.name == "files":
        if not name.startswith("profile-"):
            return False
        name = name.removeprefix("profile-")
    known = name in _PROFILES or name.startswith(("compatibility-version-", "platform-"))
    return known and path.suffix in (".yaml", ".yml")


def _is_istios_own(metadata: tree.Node | None) -> bool:
    """Whether a chart is one of Istio's own, those that size nothing included."""
    listed = tree.lookup(metadata, ("sources",))
    items = listed.items if isinstance(listed, tree.Sequence) else []
    sources = {item.value.rstrip("/") for item in items if isinstance(item, tree.Scalar)}
    return chart_of_metadata(metadata) is not None or bool(sources & _REPOSITORIES)


def istio_dependencies(metadata: tree.Node | None) -> dict[str, tuple[Chart, Version | None]]:
    """Charts of Istio's that a Chart.yaml depends on: key of their values -> chart, release.

    A name that others have, such as `gateway`, is Istio's where its repository is, or beside a
    dependency of a name that only Istio has.
    """
    listed = tree.lookup(metadata, ("dependencies",))
    items = listed.items if isinstance(listed, tree.Sequence) else []
    names = [tree.text_at(item, ("name",)) or "" for item in items]
    certain = bool(OWN_NAMES & set(names))
    found = {}
    for item, name in zip(items, names, strict=True):
        chart = CHART_NAMES.get(name)
        repository = tree.text_at(item, ("repository",)) or ""
        if chart is not None and (certain or "istio" in repository):
            key = tree.text_at(item, ("alias",)) or name
            found[key] = (chart, parse_version(tree.text_at(item, ("version",))))
    return found


def conditions_of(metadata: tree.Node | None, key: str) -> list[tree.Path]:
    """Paths in the values that decide whether a dependency is installed, the first set one counts.

    `condition` of Helm's Chart.yaml, for the dependency with values under `key`.
    """
    listed = tree.lookup(metadata, ("dependencies",))
    for item in listed.items if isinstance(listed, tree.Sequence) else []:
        if key == (tree.text_at(item, ("alias",)) or tree.text_at(item, ("name",))):
            texts = (tree.text_at(item, ("condition",)) or "").split(",")
            return [tuple(text.strip().split(".")) for text in texts if text.strip()]
    return []


def chart_of_metadata(metadata: tree.Node | None) -> Chart | None:
    """The chart that a Chart.yaml is of, where it is Istio's own or a copy of it."""
    name = tree.text_at(metadata, ("name",)) or ""
    if name not in CHART_NAMES:
        return None
    texts = [tree.text_at(metadata, (key,)) or "" for key in ("description", "icon", "home")]
    for key in ("sources", "keywords"):
        listed = tree.lookup(metadata, (key,))
        items = listed.items if isinstance(listed, tree.Sequence) else []
        texts += [item.value for item in items if isinstance(item, tree.Scalar)]
    proven = name in OWN_NAMES or any("istio" in text.lower() for text in texts)
    return CHART_NAMES[name] if proven else None


def chart_named(name: str | None, *repositories: str | None) -> Chart | None:
    """The chart of Istio's that a GitOps document names, by its name and its repository.

    Names that others have (`gateway`, `cni`, `base`) count unless a repository is named that has
    nothing of Istio's in its address.
    """
    last = (name or "").rstrip("/").rsplit("/", 1)[-1]
    chart = CHART_NAMES.get(last)
    if chart is None or last in OWN_NAMES:
        return chart
    known = [text for text in (*repositories, name) if text and text != last]
    return chart if not known or any("istio" in text for text in known) else None


def release_of(metadata: tree.Node | None) -> Version | None:
    """The release of Istio in a Chart.yaml: of its own chart, or of one that it depends on.

    The source tree's own charts say 1.0.0 for all releases.
    """
    for _, version in istio_dependencies(metadata).values():
        if version is not None:
            return version
    if chart_of_metadata(metadata) is None:
        return None
    text = tree.text_at(metadata, ("appVersion",)) or tree.text_at(metadata, ("version",))
    return None if text is None or text.startswith("1.0.") else parse_version(text)
