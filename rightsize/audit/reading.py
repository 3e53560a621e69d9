"""Files to sources: each is read by name and content, a bad one is a problem."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import orjson

from rightsize.audit.assignments import add_assignments
from rightsize.audit.certificates import authorities, pem_certificates, stated_expiries
from rightsize.audit.corefile import parse_corefile
from rightsize.audit.model import Certificate, Command, KubeObject, Note, Problem, Sources
from rightsize.audit.runbooks import YAML_LANGUAGES, Runbook, read_markdown, read_shell
from rightsize.audit.tree import Place, TreeError, parse
from rightsize.audit.yaml_documents import add_corefile, add_document
from rightsize.border import open_file
from rightsize.files.chart_metadata import Chart, chart_yaml, is_vendored, release_of
from rightsize.files.known import Version, parse_version

_TLS = "kubernetes.io/tls"
MAX_BYTES = 8 * 2**20
YAML_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdx"})
_READ_IN_FOLDERS = YAML_SUFFIXES | MARKDOWN_SUFFIXES | {".sh", ".bash", ".pem", ".crt"}
_COREFILE = re.compile(r"^\s*[\w.*:/ -]*:\d+(\s+\S+)*\s*\{\s*$|^\s*\.\s*\{\s*$", re.MULTILINE)
_DEFINITION = re.compile(r"(?m)^kind:\s*[\"']?CustomResourceDefinition\b")
_NAMES_ISTIO = re.compile(r"istio|envoy|pilot|ztunnel", re.IGNORECASE)
_MAPPING = re.compile(r"(?:\s*(?:#(?!!).*)?\n)*(?:---\s*\n|[\w.\"'-]+:(?:\s|$))")
"""Begins as YAML: what comes through a pipe has no suffix."""
_TEMPLATE = re.compile(r"\{\{-?\s")


def read_files(
    paths: Iterable[Path],
    *,
    version: Version | None = None,
    chart: Chart | None = None,
    objects: Iterable[tuple[str, Mapping[str, object]]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Sources:
    """Read files, and folders with all that is readable in them.

    Parameters
    ----------
    paths : iterable of Path
        Values files, IstioOperators, manifests, Corefiles, scripts, Markdown, certificates.
    version : (int, int), optional
        Istio's release, where the files do not show it.
    chart : str, optional
        The chart that values files are for, where nothing in them proves it.
    objects : iterable of (str, mapping)
        Objects that were read from a cluster, each with a name for it; they have no lines.
    progress : callable, optional
        Called with the number of files that were read, and of all.
    """
    sources = Sources(version=version)
    found = list(_expanded(paths, sources))
    for number, (path, named) in enumerate(found, 1):
        sources.files.append(str(path))
        text = _text(path, sources)
        if text is not None:
            before = len(sources.problems)
            _read(sources, path, text, chart, version or _release_by_name(path))
            if not named and not _NAMES_ISTIO.search(text):
                # A stranger's file in a folder of many: no fault of what is audited.
                _passed_over(sources, before)
        if progress is not None:
            progress(number, len(found))
    for name, item in objects:
        sources.files.append(name)
        sources.live.add(name)
        for root in parse(orjson.dumps(item).decode(), name):
            add_document(sources, root, version=version)
    _add_secret_certificates(sources)
    _settle_version(sources)
    sources.alternatives = _alternatives(sources)
    if sources.strangers:
        names = list(dict.fromkeys(sources.strangers))
        others = f", and {len(names) - 1} more" if len(names) > 1 else ""
        text = f"nothing proves that it holds values of Istio's{others}"
        sources.notes.append(Note("document", names[0], text))
    return sources


def _alternatives(sources: Sources) -> set[str]:
    """Files that define the same object as another of their folder, which no kustomization joins."""
    files: dict[tuple[str, ...], set[str]] = {}
    joined = {
        folder
        for folder, _, name in (file.rpartition("/") for file in sources.files)
        if name.startswith("kustomization.")
    }
    for obj in sources.objects:
        file = obj.root.place.file
        folder = file.rpartition("/")[0]
        if obj.name:
            key = (folder, obj.kind, obj.namespace or "", obj.name)
            files.setdefault(key, set()).add(file)
    return {
        file
        for (folder, *_), several in files.items()
        if len(several) > 1 and folder not in joined
        for file in several
    }


def _passed_over(sources: Sources, before: int) -> None:
    for problem in sources.problems[before:]:
        text = f"passed over, and names nothing of Istio's: {problem.text}"
        sources.notes.append(Note("document", problem.file, text, problem.line))
    del sources.problems[before:]


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Files that are read, or passed over as templates: those named, and those of folders."""
    for path in paths:
        if path.is_dir():
            yield from _inside(path)
        else:
            yield path


def _inside(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.rglob("*")
        if p.is_file() and (p.suffix.lower() in _READ_IN_FOLDERS or p.name == "Corefile")
    )


def _expanded(paths: Iterable[Path], sources: Sources) -> Iterator[tuple[Path, bool]]:
    """Each file, and whether it was named itself."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        inside = _inside(path)
        templates = [p for p in inside if _is_template_of_chart(p)]
        inside = [p for p in inside if not _is_template_of_chart(p)]
        for folder in dict.fromkeys(str(p.parent) for p in templates):
            text = "Helm templates are not audited: render them with helm template"
            sources.notes.append(Note("document", folder, text))
        if not inside:
            sources.problems.append(Problem(str(path), "the folder holds no file to audit"))
        yield from ((found, False) for found in inside)


def _is_template_of_chart(path: Path) -> bool:
    """Whether Helm renders it: in a chart's `templates`, or in its `files` with template marks."""
    for folder in list(path.parents)[:5]:
        if folder.name in ("templates", "files") and (folder.parent / "Chart.yaml").is_file():
            return folder.name == "templates" or _is_marked(path)
    return False


def _is_marked(path: Path) -> bool:
    try:
        with open_file(path) as file:
            return _TEMPLATE.search(file.read(MAX_BYTES).decode(errors="replace")) is not None
    except OSError:
        return False


def _text(path: Path, sources: Sources) -> str | None:
    def problem(what: str, hint: str | None = None) -> None:
        sources.problems.append(Problem(str(path), what, hint=hint))

    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem(f"cannot be read ({error.strerror})")
        return None
    if len(data) > MAX_BYTES:
        problem(f"is larger than {MAX_BYTES // 2**20} MiB, no configuration file is")
        return None
    if b"\0" in data:
        problem("is a binary file", "Give values, manifests, scripts, Markdown or PEM files.")
        return None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        sources.problems.append(Problem(str(path), "is not UTF-8 text", line))
        return None


def _read(
    sources: Sources, path: Path, text: str, chart: Chart | None, version: Version | None
) -> None:
    name, suffix = str(path), path.suffix.lower()
    for line, expires in stated_expiries(text):
        sources.certificates.append(Certificate(Place(name, line + 1, 1, "notAfter"), "", expires))
    signs = authorities(text)
    for line, subject, expires in pem_certificates(text):
        place = Place(name, line + 1, 1, "", "")
        sources.certificates.append(Certificate(place, subject, expires, signs.get(line, True)))
    if suffix in (".pem", ".crt", ".key"):
        return
    if is_vendored(path):
        sources.vendored.add(name)
    if suffix in MARKDOWN_SUFFIXES:
        _add_runbook(sources, name, read_markdown(text, name), version)
    elif suffix in YAML_SUFFIXES or (
        not suffix and path.name != "Makefile" and _MAPPING.match(text)
    ):
        _read_yaml(sources, path, text, chart, version)
    elif path.name.lower().startswith("corefile") or _COREFILE.search(text):
        sources.corefiles.append(parse_corefile(text, name))
    else:
        _add_runbook(sources, name, read_shell(text, name), version)


def _read_yaml(
    sources: Sources, path: Path, text: str, chart: Chart | None, version: Version | None
) -> None:
    name = str(path)
    if path.name == "Chart.yaml" or path.name.endswith(".schema.json"):
        return
    try:
        documents = parse(_without_definitions(text), name)
    except TreeError as error:
        template = _TEMPLATE.search(text)
        if template is None:
            what = f"is no YAML: {error.what}"
            sources.problems.append(Problem(name, what, error.line, error.column))
            return
        line = text.count("\n", 0, template.start()) + 1
        hint = "Render it with helm template and audit the output."
        sources.problems.append(Problem(name, "is a Helm template, no YAML yet", line, 1, hint))
        return
    for root in documents:
        before = sources.count
        add_document(sources, root, path=path, chart=chart, version=version)
        is_object = root.text_of("kind") and root.get("apiVersion") is not None
        if before == sources.count and root.entries and not is_object:
            sources.strangers.append(name)


def _without_definitions(text: str) -> str:
    """The text with the lines of CustomResourceDefinitions emptied: megabytes that set nothing."""
    if "CustomResourceDefinition" not in text:
        return text
    parts = re.split(r"(?m)^(?=---)", text)
    return "".join(
        "---" + "\n" * part.count("\n") if _DEFINITION.search(part) else part for part in parts
    )


def _release_by_name(path: Path) -> Version | None:
    """The release of the Chart.yaml beside, or of a folder named `1.24.6` or `istio-1.24`."""
    found = release_of(chart_yaml(path))
    if found is not None:
        return found
    for parent in list(path.parents)[:3]:
        if re.fullmatch(r"(istio[-_]v?1[.]\d{1,2}|v?1[.]\d{2})([.]\d+)?", parent.name):
            return parse_version(parent.name)
    return None


def _add_secret_certificates(sources: Sources) -> None:
    """Certificates in the `data` of Secrets, which is base64."""
    known = {(c.place.file, c.place.line) for c in sources.certificates}
    for obj in sources.of_kind("Secret"):
        data = obj.root.get("data")
        for value in ((data.entries if data else None) or {}).values():
            if (value.place.file, value.place.line) in known:
                continue
            try:
                text = base64.b64decode("".join((value.text or "").split()), validate=True)
            except (binascii.Error, ValueError):
                continue
            pem = text.decode("ascii", "replace")
            signs = authorities(pem)
            own = obj.name in ("cacerts", "istio-ca-secret")
            for line, subject, expires in pem_certificates(pem):
                # Secret cacerts holds the mesh's authority, whatever the certificate says.
                is_authority = own or (signs[line] and obj.root.text_of("type") != _TLS)
                found = Certificate(value.place, subject, expires, is_authority)
                sources.certificates.append(found)


def _add_runbook(sources: Sources, name: str, book: Runbook, version: Version | None) -> None:
    sources.commands += book.commands
    sources.prose += [(Place(name, number), line) for number, line in book.prose]
    for command in book.commands:
        add_assignments(sources, command, version)
        _add_patches(sources, command)
    for block in book.blocks:
        language, text = block.language, block.text
        if language in ("corefile", "coredns", "caddy") or (
            language not in YAML_LANGUAGES and _COREFILE.search(text) and "kind:" not in text
        ):
            sources.corefiles.append(parse_corefile(text, name, line_offset=block.line_offset))
            continue
        if language not in YAML_LANGUAGES | {""}:
            continue
        try:
            documents = parse(text, name, line_offset=block.line_offset)
        except TreeError as error:
            if language:
                note = f"a code block is no YAML: {error.what}"
                sources.notes.append(Note("document", name, note, error.line))
            continue
        for root in documents:
            if root.entries is not None:
                add_document(sources, root, version=version)


def _add_patches(sources: Sources, command: Command) -> None:
    """JSON or YAML among a command's words, such as the patch of `kubectl patch -p`."""
    for words, lines in zip(command.pipeline, command.lines, strict=True):
        for word, line in zip(words, lines, strict=True):
            text = word.partition("=")[2] if word.startswith("--") else word
            if text.startswith("{") and ":" in text:
                with contextlib.suppress(TreeError):
                    name = command.place.file
                    for patch in parse(text, name, line_offset=line - 1):
                        sources.documents.append(patch)
                        corefile = patch.get("data", "Corefile")
                        if corefile is not None:
                            add_corefile(sources, corefile)


def _settle_version(sources: Sources) -> None:
    """Take the release that the files name for istiod, if they name exactly one."""
    if sources.version is not None:
        return
    found: set[Version] = {
        v.version
        for v in sources.values_of("istiod", "operator")
        if v.version and v.wrapper is None
    }
    found |= {
        version
        for obj in sources.operators
        if (version := parse_version(obj.root.text_of("spec", "tag"))) is not None
    }
    found |= {version for obj in sources.objects for version in _image_versions(obj)}
    if len(found) == 1:
        sources.version = found.pop()


def _image_versions(obj: KubeObject) -> Iterator[Version]:
    template = obj.pod_template
    for container in [] if template is None else template.children("spec", "containers"):
        image = container.text_of("image") or ""
        if re.search(r"/pilot:", image):
            version = parse_version(image.rpartition(":")[2])
            if version is not None:
                yield version
