"""An API server, reached as kubectl reaches it, and asked for nothing but `GET`."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rightsize.border import read_file
from rightsize.collectors.child_streams import gated_child_stderr
from rightsize.collectors.deadline import POOLS, Deadline, read_whole
from rightsize.collectors.errors import (
    MalformedAnswerError,
    MetricsServerError,
    SlowServerError,
    TlsError,
    UnauthorizedError,
    UnreachableError,
)
from rightsize.errors import InputFileError, UsageError
from rightsize.secrets import excerpt, register, register_sent, register_tree

MAX_BYTES = 32 * 2**20
"""Of one answer: a page of pods takes about 5 MB."""
ERROR_BYTES = 64 * 2**10
_MOST_PARTS = 4_000_000
"""Members of one answer: parsed, each takes up to 100 bytes."""
IN_CLUSTER = "in-cluster"
"""Name of the cluster that this pod runs in: its own is not known."""
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between bytes of an answer."""
_ANSWER_SECONDS = 120.0
"""Of one answer, from the request to its last byte."""


@dataclass(frozen=True)
class Reply:
    """Status and body of an answer."""

    status: int
    body: bytes
    retry_after: str | None = None


class Cluster(Protocol):
    """What is needed of an API server."""

    @property
    def name(self) -> str: ...

    @property
    def namespaces(self) -> tuple[str, ...]: ...

    def get(self, path: str, query: Mapping[str, str]) -> Reply: ...


@dataclass(frozen=True)
class ApiServer:
    """A cluster of a kubeconfig, or the one that this pod runs in.

    `namespaces` are those to read, one by one; all at once where it is empty.
    """

    name: str
    namespaces: tuple[str, ...]
    client: Any
    """`kubernetes.client.ApiClient`."""
    timeout: tuple[float, float] = _TIMEOUT_SECONDS
    seconds: float = _ANSWER_SECONDS

    def get(self, path: str, query: Mapping[str, str]) -> Reply:
        """Ask once.

        Raises
        ------
        MetricsServerError
            If no whole answer came; its kind says why.
        """
        import urllib3

        manager = self.client.rest_client.pool_manager
        manager.pool_classes_by_scheme = POOLS
        headers = {"Accept": "application/json", "User-Agent": "rightsize"}
        # Asks an exec plugin again where its token has run out.
        with gated_child_stderr():
            self.client.update_params_for_auth(headers, [], ["BearerToken"])
        register_sent(headers.items())
        with Deadline(self.seconds) as deadline:
            try:
                answer = manager.request(
                    "GET",
                    self.client.configuration.host.rstrip("/") + path,
                    fields=dict(query),
                    headers=headers,
                    timeout=urllib3.Timeout(connect=self.timeout[0], read=self.timeout[1]),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                body = self._body(answer)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if deadline.over:
                    raise self._too_slow() from None
                raise _failed(self.name, error) from error
            if deadline.over:
                raise self._too_slow()
        return Reply(answer.status, body, answer.headers.get("Retry-After"))

    def _body(self, answer: Any) -> bytes:
        packed = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
        most = MAX_BYTES if answer.status == 200 else ERROR_BYTES
        try:
            body = b"" if packed else read_whole(answer, most)
            cut = len(body) <= most and bool(answer.length_remaining)
        finally:
            answer.close()
        if packed or cut:
            raise MalformedAnswerError(
                f"{self.name}: the answer {'was cut off' if cut else 'is packed, which was not asked for'}",
                hint="look at proxies between here and the API server",
                passing=cut,
            )
        parts = sum(body.count(mark) for mark in b"{[,")
        if answer.status == 200 and (len(body) > most or parts > _MOST_PARTS):
            raise MalformedAnswerError(
                f"{self.name}: an answer is larger than {most >> 20} MiB, or made of too many parts"
            )
        return body

    def _too_slow(self) -> SlowServerError:
        return SlowServerError(
            f"{self.name}: no whole answer within {self.seconds:.3g} s",
            hint="try again when the server has less to do",
        )


def connect(
    context: str | None = None,
    *,
    kubeconfig: Path | None = None,
    in_cluster: bool = False,
    namespaces: tuple[str, ...] = (),
) -> ApiServer:
    """Open a cluster as kubectl would: certificates, tokens, exec plugins; nothing is asked yet.

    Raises
    ------
    UsageError
        If the kubernetes package is not installed, or the options contradict each other.
    InputFileError
        If the kubeconfig, its context or its credentials cannot be used.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise UsageError(
            "reading a cluster needs the kubernetes package",
            hint="pip install 'rightsize[kube]', or give --objects from kubectl",
        ) from error
    for one in namespaces:
        if not _NAMESPACE.fullmatch(one):
            raise UsageError(f"{one!r} is no namespace", hint="look at --kube-namespace")
    if in_cluster and (context or kubeconfig):
        raise UsageError("--in-cluster reads the pod's own account", hint="give one of the two")
    settings = client.Configuration()
    place = IN_CLUSTER if in_cluster else str(kubeconfig or "kubeconfig")
    settings.retries = False  # the reader's own, which wait as long as the server says
    if not in_cluster:
        _register_kubeconfig(kubeconfig)
    with _messages_of_plugins() as messages, gated_child_stderr():
        try:
            if in_cluster:
                config.load_incluster_config(client_configuration=settings)
            else:
                config.load_kube_config(
                    None if kubeconfig is None else str(kubeconfig),
                    context=context,
                    client_configuration=settings,
                    persist_config=False,
                )
        except Exception as error:
            # The loader raises whatever a malformed file leads to.
            raise InputFileError(f"cannot be used: {error}", path=place, hint=_HINT) from error
    for key in settings.api_key.values():
        register(key)
    if messages:
        # The library fails itself where it has shown what a plugin says, at a terminal.
        said = "as it says above" if "NoneType" in messages[0] else messages[0]
        raise InputFileError(f"the credentials plugin failed: {said}", path=place, hint=_HINT)
    name = IN_CLUSTER if in_cluster else context or _current(kubeconfig) or settings.host
    return ApiServer(name, namespaces, client.ApiClient(settings))


_LARGEST_KUBECONFIG = 4 * 2**20


def _register_kubeconfig(kubeconfig: Path | None) -> None:
    """Whatever a plugin, a server or an error repeats of it; what is wrong with it, its loader says."""
    import yaml
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    places = str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).split(os.pathsep)
    for place in places:
        with suppress(OSError, ValueError, RecursionError, yaml.YAMLError):
            file = Path(place).expanduser()
            content = read_file(file, _LARGEST_KUBECONFIG)
            register_tree(yaml.safe_load(content), file.absolute().parent)


def _current(kubeconfig: Path | None) -> str | None:
    """Name of the context that counts where none is given."""
    from kubernetes import config

    _, current = config.list_kube_config_contexts(None if kubeconfig is None else str(kubeconfig))
    name = current.get("name") if isinstance(current, dict) else None
    return name if isinstance(name, str) else None


_HINT = "kubectl get --raw /version with the same context says whether kubectl gets in"


@contextmanager
def _messages_of_plugins() -> Iterator[list[str]]:
    """The loader logs what an exec plugin said and goes on without credentials."""
    found: list[str] = []

    class _Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = _Kept(logging.ERROR)
    logger = logging.getLogger()
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def _failed(name: str, error: Exception) -> MetricsServerError:
    from urllib3 import exceptions

    kinds: tuple[tuple[Any, Callable[..., MetricsServerError], str], ...] = (
        (exceptions.SSLError, TlsError, "check certificate-authority and client-certificate"),
        (
            (exceptions.ConnectTimeoutError, exceptions.NewConnectionError),
            UnreachableError,
            "is the cluster up, and its private address within reach of this machine?",
        ),
        (exceptions.TimeoutError, SlowServerError, "try again when the server has less to do"),
    )
    for kind, made, hint in kinds:
        if isinstance(error, kind):
            return made(f"{name}: {_short(error)}", hint=hint)
    return UnreachableError(f"{name}: the answer broke off ({_short(error)})")


def _short(error: Exception) -> str:
    return excerpt(str(error).rpartition(": ")[2], 300) or type(error).__name__


def unauthorized(name: str) -> UnauthorizedError:
    return UnauthorizedError(f"{name}: the API server does not know who asks", hint=_HINT)
