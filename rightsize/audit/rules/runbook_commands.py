"""Commands of runbooks that never worked, or work no more, with the command that does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.audit.model import Command, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.files.istioctl import proxy_status_with_reading


@dataclass(frozen=True, slots=True)
class _Gone:
    """A command of istioctl that the release does not have."""

    pattern: re.Pattern[str]
    since: tuple[int, int]
    why: str
    fix: str


_CREATE_CERT = re.compile(r"\bistioctl\s+(\S+\s+)*?create-cert\b")
_ENDPOINTS = re.compile(r"\bistioctl\b.*\b(proxy-config|pc)\s+(endpoints?|eps?)\b")
_SYNC_WORDS = re.compile(r"\b(SYNCED|STALE|NOT SENT)\b")
_GONE = (
    _Gone(
        re.compile(r"\bistioctl\s+manifest\s+(apply|migrate|versions)\b"),
        (1, 18),
        "No release from 1.18 on has it.",
        "istioctl install -f FILE",
    ),
    _Gone(
        re.compile(r"\bistioctl\s+manifest\s+diff\b"),
        (1, 24),
        "manifest diff was removed in 1.24.",
        "istioctl manifest generate -f FILE | diff FILE_BEFORE -",
    ),
    _Gone(
        re.compile(r"\bistioctl\s+operator\b"),
        (1, 24),
        "The in-cluster operator was removed in 1.24.",
        "istioctl install -f FILE  # reads the same IstioOperator file",
    ),
    _Gone(
        re.compile(r"\bistioctl\s+verify-install\b"),
        (1, 24),
        "verify-install was removed in 1.24.",
        "istioctl analyze --all-namespaces",
    ),
    _Gone(
        re.compile(r"\bistioctl\s+profile\s+(list|dump|diff)\b"),
        (1, 24),
        "istioctl profile was removed in 1.24.",
        "istioctl manifest generate --set profile=PROFILE",
    ),
    _Gone(
        re.compile(r"\bistioctl\s+authn\s+tls-check\b"),
        (1, 6),
        "authn tls-check was removed in 1.6.",
        "istioctl x describe pod POD.NAMESPACE",
    ),
    _Gone(
        re.compile(
            r"\bistioctl\s+(x|experimental)\s+(add-to-mesh|remove-from-mesh|kube-uninject)\b"
        ),
        (1, 19),
        "It was removed after 1.18.",
        "kubectl label namespace NAMESPACE istio-injection=enabled  # then restart the pods",
    ),
    _Gone(
        re.compile(r"\bistioctl\s+(x|experimental)\s+revision\b"),
        (1, 21),
        "x revision was removed after 1.20.",
        "istioctl tag list",
    ),
)


@dataclass(frozen=True, slots=True)
class _Blind:
    """A command that runs and shows nothing, or something else than it is taken for."""

    pattern: re.Pattern[str]
    why: str
    fix: str


_BLIND = (
    _Blind(
        re.compile(r"\bkubectl\b.*\bget\s+componentz\b"),
        "Kubernetes has no resource componentz; componentstatuses is deprecated since 1.19 and "
        "shows nothing of a managed control plane.",
        "kubectl get --raw='/readyz?verbose'",
    ),
    _Blind(
        re.compile(r"\bkubectl\b.*app=sidecarInjectorWebhook\b"),
        "The injector is a part of istiod since 1.5: no pod has this label.",
        "kubectl get pods -n istio-system -l app=istiod",
    ),
    _Blind(
        re.compile(
            r"\bkubectl\s+debug\s+node/.*\s(?:https?://)?[a-z0-9-]+"
            r"(?:\.[a-z0-9-]+\.svc\b|\.(?!xn--)[a-z0-9]+-[a-z0-9-]+(?=[:/\s]|$))"
        ),
        "A pod of kubectl debug node/ is in the node's network and asks the node's resolver, which "
        "knows no name of a Service.",
        "kubectl run probe -it --rm --restart=Never --image=curlimages/curl -- curl URL",
    ),
)


@rule("command-finds-nothing")
def finds_nothing(sources: Sources) -> Iterator[Hit]:
    for command in sources.commands:
        for blind in _BLIND:
            if blind.pattern.search(command.text):
                yield at(command.place, command.text, blind.fix, why=blind.why)


@rule("command-create-cert")
def create_cert(sources: Sources) -> Iterator[Hit]:
    fix = (
        "make -f tools/certs/Makefile.selfsigned.mk root-ca\n"
        "make -f tools/certs/Makefile.selfsigned.mk cluster1-cacerts\n"
        "kubectl create secret generic cacerts -n istio-system --from-file=cluster1/ca-cert.pem "
        "--from-file=cluster1/ca-key.pem --from-file=cluster1/root-cert.pem "
        "--from-file=cluster1/cert-chain.pem"
    )
    for command in sources.commands:
        if _CREATE_CERT.search(command.text):
            yield at(command.place_of("create-cert"), command.text, fix)


@rule("command-grep-synced")
def grep_synced(sources: Sources) -> Iterator[Hit]:
    for command in sources.commands:
        if _ENDPOINTS.search(command.text) and _SYNC_WORDS.search(command.text):
            fix = proxy_status_with_reading(sources.version)
            yield at(command.place, command.text, fix)


@rule("command-removed")
def removed(sources: Sources) -> Iterator[Hit]:
    for command in sources.commands:
        for gone in _GONE:
            if not gone.pattern.search(command.text):
                continue
            old = sources.version is not None and sources.version < gone.since
            if not old:
                yield at(
                    command.place,
                    command.text,
                    gone.fix,
                    severity="warning" if sources.version is None else "error",
                    why=gone.why,
                    versions=f"{gone.since[0]}.{gone.since[1]} and later",
                )


@rule("command-restarts-control-plane")
def deletes_istiod(sources: Sources) -> Iterator[Hit]:
    for command in sources.commands:
        if _deletes_istiod(command):
            fix = "kubectl rollout restart deployment/istiod -n istio-system"
            yield at(command.place, command.text, fix)


def _deletes_istiod(command: Command) -> bool:
    return any(
        words[:1] == ("delete",)
        and any(word in ("pod", "pods", "po") for word in words[1:2])
        and any("app=istiod" in word for word in words)
        for words in command.stages("kubectl")
    )
