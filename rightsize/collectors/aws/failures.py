"""What a failed AWS request means, as one of our errors."""

from __future__ import annotations

from botocore import exceptions as boto
from botocore.exceptions import ClientError

from rightsize.errors import (
    AwsAccessDeniedError,
    AwsCredentialsError,
    AwsError,
    AwsExpiredError,
    AwsRegionError,
    AwsThrottledError,
    AwsUnreachableError,
)
from rightsize.secrets import excerpt

_SIGN_IN = "sign in again (aws sso login, or new keys) and check with aws sts get-caller-identity"

# Error codes of EC2, Auto Scaling (query), Price List, Cost Explorer, Savings Plans and EKS.
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_REFUSED = {
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "Forbidden",
    "NotAuthorized",
    "UnauthorizedException",
    "UnauthorizedOperation",
}
_THROTTLED = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
}
_NO_REGION = {"InvalidRegion", "OptInRequired", "RegionDisabledException"}

_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.InvalidConfigError,
    boto.NoAuthTokenError,
)
_STALE = (boto.TokenRetrievalError, boto.SSOError, boto.UnauthorizedSSOTokenError)
_NETWORK = (boto.HTTPClientError, boto.ConnectionError)


def translated(error: Exception, where: str, *, known_region: bool = True) -> AwsError:
    """Return our error for one of botocore's. `where` names the operation and region.

    `known_region` False says that botocore's list lacks the region: then an endpoint that cannot
    be reached means that there is no such region.
    """
    if isinstance(error, AwsError):
        return type(error)(f"{where}: {error.what}", hint=error.hint)
    if isinstance(error, ClientError):
        return _answered(error, where)
    if isinstance(error, _STALE):
        return AwsExpiredError(f"{where}: the sign-in has expired ({error})", hint=_SIGN_IN)
    if isinstance(error, _NO_CREDENTIALS):
        return AwsCredentialsError(
            f"{where}: {error}",
            hint="set AWS_PROFILE or --profile, or sign in; without AWS the bundled prices serve",
        )
    if isinstance(error, boto.InvalidRegionError) or (
        isinstance(error, _NETWORK) and not known_region
    ):
        return AwsRegionError(f"{where}: AWS has no such region as far as this boto3 knows")
    if isinstance(error, _NETWORK):
        return AwsUnreachableError(
            f"{where}: {_short(error)}",
            hint="check the network, a proxy, and AWS_ENDPOINT_URL settings",
        )
    kind = "" if isinstance(error, boto.BotoCoreError) else f"{type(error).__name__}: "
    return AwsError(f"{where}: {kind}{_short(error)}")


def _short(text: object) -> str:
    """On one line, and no longer than a person reads."""
    return excerpt(" ".join(str(text).split()), 400)


def _answered(error: ClientError, where: str) -> AwsError:
    problem = error.response.get("Error") or {}
    code, text = _short(problem.get("Code", "")), _short(problem.get("Message", ""))
    said = f"{where}: {code}" + (f" ({text})" if text else "")
    if code in _EXPIRED:
        return AwsExpiredError(said, hint=_SIGN_IN)
    if code in _REFUSED:
        return AwsCredentialsError(
            said, hint="the keys are wrong, of another partition, or the region is not switched on"
        )
    if code in _DENIED:
        return AwsAccessDeniedError(
            said, hint="allow the calls of docs/iam-policy.json (rightsize prices --iam-policy)"
        )
    if code in _THROTTLED:
        return AwsThrottledError(
            said, hint="try again later, or raise prices.max_attempts in the settings"
        )
    if code in _NO_REGION:
        return AwsRegionError(said, hint="switch the region on in the account, or give another")
    return AwsError(said)
