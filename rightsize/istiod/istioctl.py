"""istioctl commands that mean something else from one release to the next.

Checked in istio/istio at the release tags, `istioctl/pkg/proxystatus/proxystatus.go` and
`istioctl/pkg/writer/pilot/status.go`: up to 1.26 the table shows SYNCED by type; from 1.27 only with
`-v 1`; from 1.28 a call without `--revision` asks the default revision alone.
"""

from __future__ import annotations

from rightsize.border import command
from rightsize.istiod.pilot_settings import minor_release

_VERBOSE_FROM = (1, 27)


def proxy_status(
    istio_version: str | None, *, namespace: str | None = None, revision: str | None = None
) -> str:
    """The command that shows which proxies an istiod serves, each type SYNCED or STALE.

    Parameters
    ----------
    istio_version : str or None
        Of istioctl; unknown is taken as new.
    namespace : str, optional
        Only its proxies.
    revision : str, optional
        The istiod that is asked. Without it, 1.28 and later ask the default revision alone.
    """
    release = minor_release(istio_version)
    words = ["istioctl", "proxy-status"]
    words += ["-n", namespace] if namespace else []
    words += ["--revision", revision] if revision else []
    words += ["-v", "1"] if release is None or release >= _VERBOSE_FROM else []
    return command(*words)
