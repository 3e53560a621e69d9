"""Renews `data/istio_fields.csv.gz` and istiod's variables in `istio_settings.csv` from a checkout of https://github.com/istio/istio.

    python benchmarks/istio_tables.py ~/src/istio ~/src/api

Reads the resource definitions at the newest patch of each minor release (git tags; no work tree is
needed) and of HEAD, which counts as the release after the last tag; fields of MeshConfig from the protocol
buffers of https://github.com/istio/api at the same tags. Commit the result, and raise
`LAST_KNOWN` in `rightsize/files/known.py` where a new release came.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

DATA = Path(__file__).parents[1] / "data"
FIRST_MINOR = 18
FEATURES = "pilot/pkg/features/*.go"
"""Where istiod registers its variables."""
PLACES = (
    "manifests/charts/base/files/crd-all.gen.yaml",
    "manifests/charts/base/crds/crd-all.gen.yaml",
)
Schema = dict[str, object]
_VARIABLE = re.compile(r'"((?:PILOT|ENABLE|ISTIO|ISTIOD|UNSAFE|PREFER|DISABLE)_[A-Z0-9_]+)"')


def releases(checkout: Path) -> list[tuple[str, str]]:
    """Minor release and git reference of its newest patch, oldest first; HEAD last."""
    newest: dict[int, int] = {}
    for tag in _git(checkout, "tag").split():
        found = re.fullmatch(r"1\.(\d+)\.(\d+)", tag)
        if found and int(found[1]) >= FIRST_MINOR:
            minor, patch = int(found[1]), int(found[2])
            newest[minor] = max(newest.get(minor, 0), patch)
    named = [(f"1.{minor}", f"1.{minor}.{patch}") for minor, patch in sorted(newest.items())]
    return [*named, (f"1.{max(newest) + 1}", "HEAD")]


def fields(schema: Schema, path: str) -> Iterator[str]:
    """Paths of a schema: `[]` is an item of a list, `*` any key, `?` anything below."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}?"
        return
    properties, items = schema.get("properties"), schema.get("items")
    extra = schema.get("additionalProperties")
    if isinstance(properties, dict):
        for name, inner in properties.items():
            yield f"{path}.{name}"
            yield from fields(inner, f"{path}.{name}")
    if isinstance(items, dict):
        yield from fields(items, f"{path}[]")
    if isinstance(extra, dict):
        yield f"{path}.*"
        yield from fields(extra, f"{path}.*")


def definitions(checkout: Path, reference: str) -> Iterator[tuple[str, str]]:
    """Kind and path of every field of `spec`, of every version of a definition."""
    for place in PLACES:
        text = _git(checkout, "show", f"{reference}:{place}", check=False)
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if text else ():
            if document:
                kind = document["spec"]["names"]["kind"]
                for version in document["spec"]["versions"]:
                    schema = version["schema"]["openAPIV3Schema"]["properties"].get("spec")
                    if schema:
                        yield from ((kind, path) for path in fields(schema, "spec"))


def mesh_fields(text: str) -> Iterator[str]:
    """Paths of MeshConfig in `config.proto` and `proxy.proto`, spelled as JSON does."""
    messages: dict[str, list[tuple[bool, bool, str, str]]] = {}
    stack: list[str] = []
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    for token in re.finditer(
        r"\b(message|enum|oneof)\s+(\w+)\s*\{|(repeated\s+)?(map<\s*\w+,\s*([\w.]+)\s*>|[\w.]+)\s+"
        r"(\w+)\s*=\s*\d+[^;{}]*;|[{}]",
        text,
    ):
        if token[1]:
            stack.append(token[2] if token[1] == "message" else "")
            if token[1] == "message":
                messages[".".join(filter(None, stack))] = []
        elif token[0] == "{":
            stack.append("")
        elif token[0] == "}":
            if stack:
                stack.pop()
        elif ".".join(filter(None, stack)) in messages:
            of = token[5] or token[4]
            entry = (bool(token[3]), token[5] is not None, of, token[6])
            messages[".".join(filter(None, stack))].append(entry)
    yield from _fields_of(messages, "MeshConfig", "spec", 0)


def _fields_of(
    messages: dict[str, list[tuple[bool, bool, str, str]]], message: str, path: str, depth: int
) -> Iterator[str]:
    for repeated, mapped, of, name in messages[message]:
        json_name = re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
        here = f"{path}.{json_name}"
        yield here
        inside = f"{here}[]" if repeated else f"{here}.*" if mapped else here
        if mapped:
            yield inside
        parts = message.split(".")
        scopes = [".".join([*parts[:count], of]) for count in range(len(parts), -1, -1)]
        found = next((scope for scope in scopes if scope in messages), None)
        if found is not None and depth < 8:
            yield from _fields_of(messages, found, inside, depth + 1)
        elif of.endswith(".LabelSelector"):
            rests = ("matchLabels", "matchLabels.*", "matchExpressions")
            parts = (f"matchExpressions[].{name}" for name in ("key", "operator", "values"))
            yield from (f"{inside}.{rest}" for rest in (*rests, *parts))
        elif "." in of or found is not None:
            # A message of another file.
            yield f"{inside}?"


def add_variables(checkout: Path, minor: str) -> int:
    """Append the variables of istiod at HEAD that `istio_settings.csv` does not have yet."""
    source = _git(checkout, "grep", "-h", "-E", '"[A-Z][A-Z0-9_]+"', "HEAD", "--", FEATURES)
    found = set(_VARIABLE.findall(source))
    table = DATA / "istio_settings.csv"
    known = {line.split(",")[2] for line in table.read_text().splitlines() if ",env," in line}
    new = sorted(name for name in found - known)
    with table.open("a") as file:
        file.writelines(f"istiod,env,{name},{minor},{minor},\n" for name in new)
    return len(new)


def main(checkout: Path, api: Path) -> None:
    spans: dict[tuple[str, str], tuple[str, str]] = {}
    for minor, reference in releases(checkout):
        places = [f"{reference}:mesh/v1alpha1/{name}.proto" for name in ("config", "proxy")]
        proto = "".join(_git(api, "show", place, check=False) for place in places)
        mesh = (("MeshConfig", path) for path in mesh_fields(proto)) if proto else ()
        for key in [*definitions(checkout, reference), *mesh]:
            first, _ = spans.get(key, (minor, minor))
            spans[key] = (first, minor)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "path", "first", "last"])
    writer.writerows((*key, *span) for key, span in sorted(spans.items()))
    packed = gzip.compress(text.getvalue().encode(), mtime=0)
    (DATA / "istio_fields.csv.gz").write_bytes(packed)
    new = add_variables(checkout, releases(checkout)[-1][0])
    sys.stdout.write(f"{len(spans)} fields, {len(packed)} bytes; {new} new variables\n")


def _git(checkout: Path, *arguments: str, check: bool = True) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
