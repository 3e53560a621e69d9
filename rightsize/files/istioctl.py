"""Commands of istioctl as each release takes them: the one catalogue for runbooks and fixes.

Source: `istioctl/pkg/proxystatus/proxystatus.go` and `pkg/writer/pilot/status.go` at the tags 1.18 to
1.30 of istio/istio.
"""

from __future__ import annotations

from rightsize.border import command
from rightsize.files.known import Version

SYNC_NEEDS_VERBOSITY: Version = (1, 27)
"""From here on the table names the types in sync only with `-v 1`."""
ASKS_DEFAULT_REVISION: Version = (1, 28)
"""From here on `proxy-status` without `--revision` asks the default revision alone."""


IN_SYNC = "STALE or NOT SENT is not in sync"


def proxy_status(
    version: Version | None, *, namespace: str | None = None, revision: str | None = None
) -> str:
    """The command that shows which proxies an istiod serves, each type in sync or not.

    Parameters
    ----------
    version : (int, int) or None
        istioctl's release; None writes the flags that newer releases need.
    namespace : str, optional
        Only its proxies.
    revision : str, optional
        The istiod that is asked, where several run; every release takes `--revision`.

    >>> proxy_status((1, 26))
    'istioctl proxy-status'
    >>> proxy_status((1, 30), namespace="shop", revision="a")
    'istioctl proxy-status -n shop --revision a -v 1'
    """
    words = ["istioctl", "proxy-status"]
    words += ["-n", namespace] if namespace else []
    words += ["--revision", revision] if revision else []
    words += ["-v", "1"] if version is None or version >= SYNC_NEEDS_VERBOSITY else []
    return command(*words)


def proxy_status_with_reading(version: Version | None) -> str:
    """The same over the whole mesh, with how it is read as a comment."""
    note = "" if version is not None else " (leave out -v 1 before 1.27)"
    return f"{proxy_status(version)}  # {IN_SYNC}{note}"
