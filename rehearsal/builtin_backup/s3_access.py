"""How to reach a bucket: endpoint, region, addressing, authority and keys, checked before anything is asked.

The keys come from where every S3 tool looks (environment, profile, `credential_process`), or are given; never from
argv. The instance metadata of a cloud machine is not asked: elsewhere that address answers nobody, and hangs. Facts,
sections 6 and 7 (an endpoint without its scheme).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from rehearsal.errors import UsageError

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")
_CONNECTIONS = 16
_FALLBACK_REGION = "us-east-1"  # what most S3 servers that have no regions expect
_NO_PROFILE = dict.fromkeys(("profile", "config_file", "credentials_file"), (None, None, None, None))


@dataclass(frozen=True)
class S3Access:
    """A bucket and the way to it.

    Attributes:
        endpoint: URL with its scheme, as `backup-s3-endpoint` has it; "": Amazon's, or what `AWS_ENDPOINT_URL` says.
        prefix: of every key, with or without a `/` at its end; "": the whole bucket.
        region: as `backup-s3-region`; "": the profile's or `AWS_DEFAULT_REGION`, else us-east-1.
        path_style: `https://HOST/BUCKET/KEY`, which every server knows, else `https://BUCKET.HOST/KEY`.
        ca_file: PEM file of the authorities to trust; None: the public ones, or those of `AWS_CA_BUNDLE`.
        access_key, secret_key: both, or neither: then from the environment or the profile.
        timeout: seconds without a byte until a connection is given up.
        attempts: how often a request is made at most, and a download taken up again after a cut.

    Raises:
        UsageError: one of them cannot be right.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = ""
    path_style: bool = True
    ca_file: Path | None = None
    access_key: str = field(default="", repr=False)
    secret_key: SecretStr | None = field(default=None, repr=False)
    timeout: float = 60.0
    attempts: int = 4

    def __post_init__(self) -> None:
        if self.endpoint:
            _check_endpoint(self.endpoint)
        if not _BUCKET.fullmatch(self.bucket):
            raise UsageError(
                f"{self.bucket!r} cannot be the name of a bucket", hint="s3://BUCKET or s3://BUCKET/PREFIX"
            )
        if self.region and not _REGION.fullmatch(self.region):
            raise UsageError(f"{self.region!r} cannot be a region", hint="backup-s3-region is such as regionOne")
        if bool(self.access_key) != bool(self.secret_key and self.secret_key.get_secret_value()):
            raise UsageError("an S3 access key and its secret key are needed together", where=self.shown)
        if self.ca_file is not None:
            _check_authorities(self.ca_file)

    @property
    def key_prefix(self) -> str:
        """What stands before every key: "", or the prefix with one `/` at its end."""
        inner = self.prefix.strip("/")
        return f"{inner}/" if inner else ""

    @property
    def shown(self) -> str:
        """`s3://BUCKET/PREFIX at ENDPOINT`."""
        address = f"s3://{self.bucket}/{self.key_prefix}".rstrip("/")
        return f"{address} at {self.endpoint or 'the default endpoint'}"

    def make_client(self) -> Any:
        """A client of boto3, which may be used from many threads.

        Checksums beyond S3's first version are left out where S3 does not ask for them: older servers refuse them.
        boto3 is imported here: it takes a quarter of a second, which most rehearsals can do without.
        """
        from botocore.config import Config

        session = self._make_session()
        return session.client(
            "s3",
            endpoint_url=self.endpoint or None,
            region_name=self.region or session.region_name or _FALLBACK_REGION,
            verify=None if self.ca_file is None else str(self.ca_file),
            aws_access_key_id=self.access_key or None,
            aws_secret_access_key=self.secret_key.get_secret_value() if self.secret_key else None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if self.path_style else "virtual"},
                connect_timeout=min(self.timeout, 10.0),
                read_timeout=self.timeout,
                retries={"mode": "standard", "total_max_attempts": self.attempts},
                max_pool_connections=_CONNECTIONS,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                proxies={} if is_loopback(self.endpoint) else None,
            ),
        )

    def _make_session(self) -> Any:
        import boto3
        import botocore.session

        # with keys of our own, a profile of the user's has no say, not even one that does not exist
        core = botocore.session.Session(session_vars=_NO_PROFILE if self.access_key else None)
        core.register_component("data_loader", _models())
        if not self.access_key:
            core.get_component("credential_provider").remove("iam-role")
        return boto3.session.Session(botocore_session=core)


@cache
def _models() -> Any:
    """Reads the service's description, once for all clients."""
    from botocore.loaders import create_loader

    return create_loader()


def parse_s3_url(url: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://BUCKET[/PREFIX]`.

    Raises:
        UsageError: it has another shape.
    """
    scheme, mark, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme.lower() != "s3" or not mark or not _BUCKET.fullmatch(bucket):
        raise UsageError("not the address of a bucket", where=repr(url), hint="s3://BUCKET or s3://BUCKET/PREFIX")
    return bucket, prefix.strip("/")


def _check_endpoint(endpoint: str) -> None:
    bare = re.sub(
        r"^.*@|^[a-z0-9+.-]*:?//", "", endpoint, flags=re.IGNORECASE
    )  # whatever stands before an @ is a secret
    if "@" in endpoint:
        raise UsageError("the S3 endpoint holds a user or a key", where=bare, hint=f"https://{bare}")
    if not re.match(r"https?://", endpoint, re.IGNORECASE):
        raise UsageError(
            "the S3 endpoint has no http:// or https:// in front; Chipster's services crash on such a one",
            where=bare,
            hint=f"https://{bare}",
        )
    try:
        parts = urlsplit(endpoint)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.query or parts.fragment:
        raise UsageError("the S3 endpoint is no URL of a host", where=repr(endpoint), hint="https://HOST[:PORT]")


def _check_authorities(ca_file: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(ca_file))
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"no certificate authorities can be read from it: {error.strerror}",
            where=str(ca_file),
            hint=f"openssl x509 -in '{ca_file}' -noout -subject",
        ) from error


def is_loopback(endpoint: str) -> bool:
    """Whether a URL leads to this machine alone."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
