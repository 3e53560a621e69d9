"""An API server of the tests' own: lists in pages, over HTTP or TLS, and as unwell as asked."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rightsize.collectors.kube.resources import RESOURCES, Resource

SERVED = {one.path(one.versions[0]): one for one in RESOURCES}
"""The newest version of each resource."""


@dataclass(frozen=True)
class Asked:
    """One request: an RBAC rule allows or refuses exactly this."""

    verb: str
    group: str
    plural: str
    namespace: str | None
    name: str | None


@dataclass
class KubeApi:
    """What it serves, and how; tests set the faults between requests."""

    objects: Sequence[Mapping[str, object]]
    token: str | None = None
    page: int = 2
    """The most objects of an answer, whatever limit is asked for."""
    refused: set[str] = field(default_factory=set)
    """Titles of resources: 403; `NAMESPACE/title` for one namespace, `*/title` for all at once,
    `title/NAME` for one object."""
    absent: set[str] = field(default_factory=set)
    """Titles of resources that are not installed: 404."""
    broken: set[str] = field(default_factory=set)
    """Titles of resources that a conversion webhook fails for: 500."""
    expires_once: set[str] = field(default_factory=set)
    """Titles of resources of which the second page answers 410, the first time."""
    busy: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    body: bytes | None = None
    """The body of every answer instead."""
    seconds: float = 0.0
    behind: Mapping[str, str] = field(default_factory=dict)
    """Addresses of what answers behind `NAMESPACE/services/NAME:PORT/proxy`."""
    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    most_at_once: int = 0
    running: int = 0

    def answer(self, raw: str, token: str | None) -> tuple[int, bytes]:
        """Status and body for a path with its query."""
        url = urllib.parse.urlsplit(raw)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.paths.append(raw)
        time.sleep(self.seconds)
        if self.busy:
            return self.busy.pop(0), b"busy"
        if self.body is not None:
            return 200, self.body
        if self.token is not None and token != f"Bearer {self.token}":
            return self._status(401)
        if match := _PROXIED.fullmatch(url.path):
            return self._passed_on(match["namespace"], match["service"], match["rest"], url.query)
        resource, namespace, name = _understood(url.path)
        if resource is None or resource.title in self.absent:
            return self._status(404)
        if resource.title in self.broken:
            return self._status(500)
        verb = "get" if name else "list"
        self.asked.append(Asked(verb, resource.group, resource.plural, namespace, name))
        titles = {
            resource.title,
            f"{namespace or '*'}/{resource.title}",
            f"{resource.title}/{name}",
        }
        if titles & self.refused:
            return self._status(403)
        return self._served(resource, namespace, name, query)

    def _served(
        self, resource: Resource, namespace: str | None, name: str | None, query: dict[str, str]
    ) -> tuple[int, bytes]:
        found = [one for one in self.objects if _is(one, resource, namespace, name)]
        if name:
            return (200, json.dumps(found[0]).encode()) if found else self._status(404)
        start = int(query.get("continue", 0))
        if start and resource.title in self.expires_once:
            self.expires_once.discard(resource.title)
            return self._status(410)
        end = start + min(self.page, int(query.get("limit", 500)))
        items = [_as_item(one, resource) for one in found[start:end]]
        about = {"resourceVersion": "1"} | ({"continue": str(end)} if end < len(found) else {})
        return 200, json.dumps({"kind": "List", "metadata": about, "items": items}).encode()

    def _passed_on(self, namespace: str, service: str, rest: str, query: str) -> tuple[int, bytes]:
        self.asked.append(Asked("get", "", "services/proxy", namespace, service))
        if "services/proxy" in self.refused:
            return 403, json.dumps({"message": 'cannot get resource "services/proxy"'}).encode()
        address = self.behind.get(f"{namespace}/{service}")
        if address is None:
            return 503, json.dumps({"message": "no endpoints available for service"}).encode()
        try:
            with urllib.request.urlopen(f"{address}{rest}?{query}", timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _status(self, code: int) -> tuple[int, bytes]:
        return code, json.dumps({"kind": "Status", "code": code}).encode()


_PROXIED = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/services/(?P<service>[^/]+)/proxy(?P<rest>/.*)"
)


def _understood(path: str) -> tuple[Resource | None, str | None, str | None]:
    parts = path.strip("/").split("/")
    head, rest = (parts[:2], parts[2:]) if parts[0] == "api" else (parts[:3], parts[3:])
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    found = SERVED.get("/" + "/".join([*head, rest[0]]))
    name = rest[1] if len(rest) > 1 else None
    if rest[0] == "namespaces":
        namespace = name  # a Role in the namespace allows to get it
    return found, namespace, name


def _is(
    one: Mapping[str, object], resource: Resource, namespace: str | None, name: str | None
) -> bool:
    about = one["metadata"]
    assert isinstance(about, dict)
    group = str(one.get("apiVersion", "v1")).rpartition("/")[0]
    return (
        (one["kind"], group) == (resource.kind, resource.group)
        and namespace in (None, about.get("namespace") or about["name"])
        and name in (None, about["name"])
    )


def _as_item(one: Mapping[str, object], resource: Resource) -> dict[str, object]:
    """Items of built-in kinds do not say what they are; custom resources do."""
    built_in = not resource.group or "." not in resource.group or resource.group.endswith(".k8s.io")
    return {k: v for k, v in one.items() if not (built_in and k in ("kind", "apiVersion"))}


@contextlib.contextmanager
def kube_api(
    objects: Sequence[Mapping[str, object]], *, tls: Path | None = None, **how: Any
) -> Iterator[KubeApi]:
    """Serve objects; with `tls`, a folder of `certificates`, to clients with a certificate alone."""
    api = KubeApi(objects, **how)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with lock:
                api.running += 1
                api.most_at_once = max(api.most_at_once, api.running)
            status, body = api.answer(self.path, self.headers.get("Authorization"))
            with lock:
                api.running -= 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def do_POST(self) -> None:
            api.asked.append(Asked("create", "", self.path, None, None))
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.crt", tls / "server.key")
        context.load_verify_locations(tls / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.address = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def kubeconfig(
    path: Path, address: str, user: Mapping[str, object], *, authority: Path | None = None
) -> Path:
    """A kubeconfig of one context, `prod`."""
    cluster: dict[str, object] = {"server": address}
    if authority is not None:
        cluster["certificate-authority"] = str(authority)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": dict(user)}],
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def certificates(folder: Path) -> Path:
    """An authority, and a server's and a client's certificate: `ca.crt`, `server.crt`, ..."""
    authority = ec.generate_private_key(ec.SECP256R1())
    for name in ("ca", "server", "client"):
        key = authority if name == "ca" else ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([local]), critical=False)
            .sign(authority, hashes.SHA256())
        )
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return folder
