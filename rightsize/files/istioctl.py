"""Commands of istioctl as each release takes them: the one catalogue for runbooks and fixes.

Source: `istioctl/pkg/proxystatus/proxystatus.go` and `pkg/writer/pilot/status.go` at the tags 1.18 to
1.30 of istio/istio.
"""

from __future__ import annotations

from rightsize.files.known import Version

SYNC_NEEDS_VERBOSITY: Version = (1, 27)
"""From here on the table names the types in sync only with `-v 1`."""
ASKS_DEFAULT_REVISION: Version = (1, 28)
"""From here on `proxy-status` without `--revision` asks the default revision alone."""


def proxy_status(version: Version | None, *, revision: str | None = None) -> str:
    """The command that shows which proxies are in sync, with its reading as a comment.

    Parameters
    ----------
    version : (int, int) or None
        istioctl's release; None writes flags that newer releases need, and says so.
    revision : str, optional
        The istiod that is asked, where several run; every release takes `--revision`.

    >>> proxy_status((1, 26))
    'istioctl proxy-status  # STALE or NOT SENT is not in sync'
    >>> proxy_status((1, 30), revision="a")
    'istioctl proxy-status -v 1 --revision a  # STALE or NOT SENT is not in sync'
    """
    flags = ""
    if version is None or version >= SYNC_NEEDS_VERBOSITY:
        flags += " -v 1"
    if revision is not None:
        flags += f" --revision {revision}"
    note = "" if version is not None else " (leave out -v 1 before 1.27)"
    return f"istioctl proxy-status{flags}  # STALE or NOT SENT is not in sync{note}"
