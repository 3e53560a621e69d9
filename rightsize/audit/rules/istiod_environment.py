"""Environment variables of istiod that it ignores, never had, or that change nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.audit.model import Command, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node, Place
from rightsize.files.known import (
    FIRST_KNOWN,
    LAST_KNOWN,
    Setting,
    Version,
    environment,
    nearest,
    version_text,
)

_INSTEAD = {
    "PILOT_CACHE_SQUASH": (
        'PILOT_DEBOUNCE_AFTER: "100ms"  # and PILOT_DEBOUNCE_MAX: they batch pushes today',
        "Real in 0.8 to 1.0 alone; gone since 1.1.0, istiod ignores it.",
    ),
    "PILOT_WEBHOOK_CACHE_SIZE": (
        "# delete the line; the cache of pushes is PILOT_XDS_CACHE_SIZE, 60000 entries by default",
        "No release of Istio ever read it: the injection webhook has no cache to size.",
    ),
}
_CLOSE = 0.75
"""Likeness of two words that one slip of the pen makes of each other."""
_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Variable:
    place: Place
    name: str
    value: str
    version: Version | None


@rule("env-never-existed")
def never_existed(sources: Sources) -> Iterator[Hit]:
    for variable in variables_of(sources):
        name = variable.name
        if name in _INSTEAD:
            fix, why = _INSTEAD[name]
            span = "1.1 and later" if name == "PILOT_CACHE_SQUASH" else "every release"
            evidence = f"{name}={variable.value} is set"
            yield at(variable.place, evidence, fix, why=why, versions=span)
        elif name.startswith("PILOT_") and name not in environment():
            if variable.version is not None and variable.version > LAST_KNOWN:
                continue
            yield _unknown(variable)


def _unknown(variable: Variable) -> Hit:
    """A name in no release known here: a slip of the pen, or one that a newer release has."""
    name = variable.name
    meant = nearest(name, environment())
    slip = meant is not None and _is_slip(name, meant)
    span = f"{version_text(FIRST_KNOWN)} to {version_text(LAST_KNOWN)}"
    evidence = f"{name} is in no release from {span}"
    if slip and meant is not None:
        fix = f'{meant}: "{variable.value}"'
        return at(variable.place, f"{evidence}; {meant} is", fix, versions=span)
    if variable.version is None:
        newer = f"{evidence}; it may be newer than this release of rightsize knows"
        fix = f"# give --istio-version, or delete {name}"
        return at(variable.place, newer, fix, severity="info", versions=span)
    return at(variable.place, evidence, f"# delete {name}", severity="warning", versions=span)


def _is_slip(name: str, meant: str) -> bool:
    """Whether two names differ by a letter or two of one word, not by a word."""
    one, other = name.split("_"), meant.split("_")
    if len(one) != len(other):
        return name.replace("_", "") == meant.replace("_", "")
    differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    close = difflib.SequenceMatcher(None, *differing[0]).ratio() if differing else 0.0
    return len(differing) == 1 and close >= _CLOSE


@rule("env-not-in-release")
def not_in_release(sources: Sources) -> Iterator[Hit]:
    for variable in variables_of(sources):
        spans = environment().get(variable.name, ())
        version = variable.version
        if not spans or version is None or not FIRST_KNOWN <= version <= LAST_KNOWN:
            continue
        first, last = spans[0].first, spans[-1].last
        if not first <= version <= last:
            whole = Setting(variable.name, first, last)
            evidence = f"{variable.name} is read by {whole.span}, not by {version_text(version)}"
            yield at(variable.place, evidence, f"# delete {variable.name}", versions=whole.span)


@rule("env-no-op")
def no_op(sources: Sources) -> Iterator[Hit]:
    for variable in variables_of(sources, rendered=False):
        spans = [s for s in environment().get(variable.name, ()) if s.read_by(variable.version)]
        if not spans or not variable.value or not all(s.default for s in spans):
            continue
        if all(_same(s.default, variable.value) for s in spans):
            span = Setting(variable.name, spans[0].first, spans[-1].last).span
            evidence = f"{variable.name} is {variable.value}, which is the default"
            yield at(variable.place, evidence, f"# delete {variable.name}", versions=span)


@rule("debounce-too-short")
def debounce_too_short(sources: Sources) -> Iterator[Hit]:
    for variable in variables_of(sources):
        seconds = _seconds(variable.value)
        if variable.name == "PILOT_DEBOUNCE_MAX" and seconds is not None and seconds < 10:
            evidence = f"PILOT_DEBOUNCE_MAX is {variable.value}, the default is 10s"
            fix = "# delete it, or raise PILOT_DEBOUNCE_AFTER to push less often"
            yield at(variable.place, evidence, fix)


@rule("env-as-list")
def env_as_list(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        env = values.istiod("env")
        if env is None or not env.items:
            continue
        named = [(i.text_of("name") or "NAME", i.text_of("value") or "") for i in env.items]
        # A name that no release reads is not worth carrying over.
        pairs = [pair for pair in named if pair[0] in environment()]
        lines = "".join(f'\n  {name}: "{value}"' for name, value in pairs)
        fix = f"env:{lines}" if pairs else "env: {}"
        yield at(env, f"{env.place.path} is a list of {len(named)}", fix)


def variables_of(sources: Sources, *, rendered: bool = True) -> Iterator[Variable]:
    """What is set in values, IstioOperators and commands, and (`rendered`) in Deployments."""
    for values in sources.values_of("istiod", "operator"):
        env = values.istiod("env")
        if env is not None:
            yield from _of_node(env, sources.release(values))
    for operator in sources.operators:
        env = operator.root.get("spec", "components", "pilot", "k8s", "env")
        if env is not None:
            yield from _of_node(env, sources.version)
    for obj in sources.of_kind("Deployment") if rendered else ():
        template = obj.pod_template
        for container in [] if template is None else template.children("spec", "containers"):
            env = container.get("env")
            if container.text_of("name") == "discovery" and env is not None:
                yield from _of_node(env, sources.version)
    for command in sources.commands:
        yield from _of_command(command, sources.version)


def _of_node(env: Node, version: Version | None) -> Iterator[Variable]:
    for name, value in (env.entries or {}).items():
        yield Variable(value.place, name, value.text or "", version)
    for item in env.items or ():
        name_node = item.get("name")
        if name_node is not None and name_node.text and item.get("valueFrom") is None:
            said = item.text_of("value") or ""
            yield Variable(name_node.place, name_node.text, said, version)


def _of_command(command: Command, version: Version | None) -> Iterator[Variable]:
    for words in command.stages("kubectl"):
        if "env" not in words or "set" not in words or not any("istiod" in w for w in words):
            continue
        for word in words:
            name, equals, value = word.partition("=")
            if equals and name.isupper():
                yield Variable(command.place_of(word), name, value, version)


def _same(default: str, value: str) -> bool:
    if default.lower() == value.lower():
        return True
    seconds = _seconds(default)
    return seconds is not None and seconds == _seconds(value)


def _seconds(text: str) -> float | None:
    for unit in ("ms", "s", "m", "h"):
        number = text.removesuffix(unit)
        if number != text:
            try:
                return float(number) * _DURATION[unit]
            except ValueError:
                return None
    return None
