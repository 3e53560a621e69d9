"""Options that say which cluster to read, shared by the commands that read one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, get_type_hints

import typer

from rightsize.output.console import error_console

if TYPE_CHECKING:
    from rightsize.collectors.kube import ApiServer
    from rightsize.snapshot.manifest import Missing


class OpenCluster(Protocol):
    """Opens the cluster that the options name; None without them."""

    def __call__(self) -> ApiServer | None: ...


_OPTIONS: dict[str, object] = {
    "kube_context": Annotated[
        str | None, typer.Option(help="Read this context's cluster, with get and list alone.")
    ],
    "kubeconfig": Annotated[
        Path | None,
        typer.Option(help="Kubeconfig file. KUBECONFIG or ~/.kube/config; its current context."),
    ],
    "in_cluster": Annotated[
        bool, typer.Option("--in-cluster", help="Read the cluster that this pod runs in.")
    ],
    "kube_namespace": Annotated[
        list[str] | None,
        typer.Option(help="Read this namespace only; repeat for more. All at once by default."),
    ],
}


def with_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets one function for them: `open_cluster`."""
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "open_cluster"
    ]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name == "in_cluster" else None,
            annotation=option,
        )
        for name, option in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapper(
        *,
        kube_context: str | None,
        kubeconfig: Path | None,
        in_cluster: bool,
        kube_namespace: list[str] | None,
        **given: object,
    ) -> None:
        def open_cluster() -> ApiServer | None:
            if kube_context is None and kubeconfig is None and not in_cluster:
                return None
            from rightsize.collectors.kube import connect

            return connect(
                kube_context,
                kubeconfig=kubeconfig,
                in_cluster=in_cluster,
                namespaces=tuple(kube_namespace or ()),
            )

        command(**given, open_cluster=open_cluster)

    shown = [*own, *added]
    wrapper.__dict__["__signature__"] = inspect.Signature(shown)
    wrapper.__annotations__ = {p.name: p.annotation for p in shown}
    return wrapper


def say_missing(missing: Iterable[Missing]) -> None:
    """One line for each permission that is missing, with what it costs."""
    console = error_console()
    for one in missing:
        console.print(f"missing: {one.what}: {one.costs}", markup=False, soft_wrap=True)
