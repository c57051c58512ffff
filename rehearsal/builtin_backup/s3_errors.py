"""What a failed S3 call means: one error in our words, with endpoint, bucket, key, and what to type.

The client's own texts are not passed on: they may hold the access key, a signed URL or a proxy's password. Only the
server's error code decides, and of an unknown code its message, without the keys. Facts, section 6 (configuration).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from rehearsal.builtin_backup.places import ObjectMissing, show_key
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError, UsageError
from rehearsal.journal import Redactor

Action = Literal["list", "read", "write", "delete"]

S3_FAILURES = (boto.BotoCoreError, boto.ClientError, ResponseParserError, ValueError)
"""What a call of the client may raise; ValueError: an endpoint that no URL can be made of."""

_RIGHTS = {"list": "s3:ListBucket", "read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject"}
_KEYS = "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…"
_SECRET = {"SignatureDoesNotMatch", "InvalidSignature", "InvalidSecurity"}
_UNKNOWN_KEY = {"InvalidAccessKeyId", "InvalidAccessKey", "NotSignedUp"}
_TOKEN = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException", "RequestExpired"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden", "401", "Unauthorized"}
_CLOCK = {"RequestTimeTooSkewed", "AccessDeniedClockSkew"}
_REGION = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "InvalidRegion",
}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestTimeoutException", "Throttling"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "507", "EntityTooLarge"}
_OTHER_BYTES = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"}


def explain(error: Exception, access: S3Access, action: Action, key: str = "") -> RehearsalError:
    """The error to raise instead.

    Args:
        error: one of `S3_FAILURES`.
        key: with its prefix, of the object that was asked for; "" of a listing.
    """
    where = f"{access.shown}: {show_key(key)}" if key else access.shown
    if isinstance(error, boto.ClientError):
        return _explain_answer(error.response, access, action, key, where)
    if isinstance(error, boto.SSLError):
        return _explain_tls(str(error), access, where)
    if isinstance(error, boto.ReadTimeoutError | boto.ConnectTimeoutError):
        return EnvironmentUnfit(
            f"the S3 server did not answer within {access.timeout:g} s, {_count(access.attempts)}",
            where=where,
            hint=_try(access),
        )
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return UsageError("no S3 keys: neither in the environment nor in a profile", where=where, hint=_KEYS)
    if isinstance(error, boto.ProfileNotFound | boto.ConfigParseError | boto.ConfigNotFound):
        return UsageError(
            "the profile for S3 cannot be used: AWS_PROFILE names none, or its file is damaged",
            where=where,
            hint=f"ls ~/.aws; or {_KEYS}",
        )
    if isinstance(error, boto.CredentialRetrievalError):
        return UsageError("the profile's way to its S3 keys failed", where=where, hint=_KEYS)
    if isinstance(error, boto.ProxyConnectionError):
        return EnvironmentUnfit("the proxy of the environment does not answer", where=where, hint="env | grep -i proxy")
    if isinstance(error, boto.EndpointConnectionError | boto.ConnectionClosedError | boto.HTTPClientError):
        return _explain_silence(str(error.kwargs.get("error", error)), access, where)
    if isinstance(error, ResponseParserError | boto.PaginationError):
        return not_s3(access, where)
    return UsageError(f"the S3 client refuses the request: {type(error).__name__}", where=where, hint=_try(access))


def not_s3(access: S3Access, where: str = "", status: str = "") -> RehearsalError:
    """What answers at the endpoint does not speak S3."""
    said = {"": "", "500": ", or fails"}.get(status, f" (HTTP {status})")
    return UsageError(
        f"what answers there is no S3 server{said}: the endpoint is another service's, or lacks a port or a path",
        where=where or access.shown,
        hint=_try(access),
    )


def _explain_answer(
    response: Mapping[str, Any], access: S3Access, action: Action, key: str, where: str
) -> RehearsalError:
    error = response.get("Error", {})
    code = str(error.get("Code", ""))
    metadata = response.get("ResponseMetadata", {})
    if code in _SECRET:
        return UsageError(
            "the secret key is wrong: the S3 server computed another signature",
            where=where,
            hint=f"{_KEYS} (values.yaml: backup-s3-secret-key)",
        )
    if code in _UNKNOWN_KEY:
        return UsageError(
            "the S3 server does not know the access key",
            where=where,
            hint=f"{_KEYS} (values.yaml: backup-s3-access-key)",
        )
    if code in _TOKEN:
        return UsageError(
            "the S3 session token is no longer valid", where=where, hint=f"unset AWS_SESSION_TOKEN; {_KEYS}"
        )
    if code == "NoSuchBucket":
        return UsageError(
            f"there is no bucket {access.bucket!r}", where=where, hint=f"aws{_endpoint_option(access)} s3 ls"
        )
    if code in ("NoSuchKey", "NoSuchVersion") or (key and code == "404"):
        return ObjectMissing("there is no such object in the bucket", where=where)
    if code in _CLOCK:
        return _explain_clock(metadata.get("HTTPHeaders", {}), where)
    if code in _DENIED:
        what = f"{access.bucket}/*" if key else access.bucket
        return UsageError(
            f"the S3 keys are not allowed to {action} here",
            where=where,
            hint=f"allow {_RIGHTS[action]} on arn:aws:s3:::{what}",
        )
    if code in _REGION:
        wanted = re.sub(r"[^A-Za-z0-9-]", "", str(error.get("Region", "")))
        return UsageError(
            "the bucket is in another region, or the server expects another name of it",
            where=where,
            hint=f"export AWS_DEFAULT_REGION={wanted or 'REGION'} (values.yaml: backup-s3-region)",
        )
    if code in _FULL:
        return EnvironmentUnfit(f"the S3 server has no room for it ({code})", where=where, hint="raise the quota")
    if code in _OTHER_BYTES:
        return StreamError(f"the S3 server got other bytes than were sent ({code})", where=where)
    if code == "InvalidObjectState":
        return EnvironmentUnfit(
            "the object is in cold storage and must be fetched from there first",
            where=where,
            hint=f"aws{_endpoint_option(access)} s3api restore-object --bucket {access.bucket} --key '{show_key(key)}' "
            "--restore-request Days=7",
        )
    status = int(metadata.get("HTTPStatusCode", 0) or 0)
    if code in ("", "500") or (code.isdigit() and status < 500):  # no S3 error document, or a 200 that was no XML
        return not_s3(access, where, code or str(status))
    if code in _BUSY or status >= 500:
        return EnvironmentUnfit(
            f"the S3 server fails ({code or status}), {_count(access.attempts)}", where=where, hint="try again later"
        )
    message = _clean(str(error.get("Message") or ""), access)
    return EnvironmentUnfit(f"the S3 server refuses: {_clean(code, access)}: {message}", where=where, hint=_try(access))


def _explain_clock(headers: Mapping[str, str], where: str) -> RehearsalError:
    apart = "too far from"
    try:
        seconds = (datetime.now(UTC) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        pass
    else:
        if abs(seconds) >= 60:
            hours, minutes = divmod(round(abs(seconds) / 60), 60)
            apart = f"{hours} h {minutes} min {'ahead of' if seconds > 0 else 'behind'}"
    return EnvironmentUnfit(
        f"the clock here is {apart} the S3 server's: it refuses every signature",
        where=where,
        hint="timedatectl set-ntp true",
    )


def _explain_tls(text: str, access: S3Access, where: str) -> RehearsalError:
    if re.search(r"certificate has expired|not yet valid", text):
        return EnvironmentUnfit(
            "the S3 server's certificate is not valid today", where=where, hint=f"date; {_try(access)}"
        )
    if re.search(r"mismatch|doesn't match|not valid for", text, re.IGNORECASE):
        style = "" if access.path_style else "; or address the bucket by path"
        return UsageError(
            "the S3 server's certificate is another host's",
            where=where,
            hint=f"give the endpoint by the certificate's name{style}",
        )
    if re.search(r"NO_CERTIFICATE|CA bundle|No such file", text):
        return UsageError(
            "the file of certificate authorities that AWS_CA_BUNDLE or the profile names cannot be read",
            where=where,
            hint='ls -l "$AWS_CA_BUNDLE"',
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return UsageError(
            "the S3 server's certificate is signed by an authority that is not known here",
            where=where,
            hint="export AWS_CA_BUNDLE=/path/of/the/authority.pem",
        )
    return UsageError(
        "what answers there does not speak TLS", where=where, hint=access.endpoint.replace("https://", "http://", 1)
    )


def _explain_silence(text: str, access: S3Access, where: str) -> RehearsalError:
    if re.search(r"Name or service|getaddrinfo|name resolution|resolve|nodename|No address", text):
        style = "" if access.path_style else f", or {access.bucket} in front of it: address the bucket by path"
        return EnvironmentUnfit(f"nobody knows the S3 server's name{style}", where=where, hint=_try(access))
    why = "connection refused" if "refused" in text else "the connection broke before an answer came"
    return EnvironmentUnfit(
        f"no S3 server answers there ({why}), {_count(access.attempts)}", where=where, hint=_try(access)
    )


def _clean(text: str, access: S3Access) -> str:
    secrets = [access.access_key, access.secret_key.get_secret_value() if access.secret_key else ""]
    printable = "".join(char if char.isprintable() else " " for char in text)
    # keys that came from a profile are not known here: whatever looks like one goes
    return Redactor(secrets).clean(re.sub(r"\b[A-Za-z0-9/+]{16,}={0,2}", "[removed]", printable))[:300]


def _count(attempts: int) -> str:
    return "asked once" if attempts == 1 else f"asked {attempts} times"


def _try(access: S3Access) -> str:
    return f"curl -sv {access.endpoint or 'https://s3.amazonaws.com'}"


def _endpoint_option(access: S3Access) -> str:
    return f" --endpoint-url {access.endpoint}" if access.endpoint else ""
