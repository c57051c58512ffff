"""The admin calls of Chipster's real services that make a backup now: `backup` for databases, `file-broker` for files.

They answer 200 even when the work fails, so an answer proves nothing: what lies in the bucket afterwards does, and
`real_writer` waits for that. Whatever is no 200 is one error in our words. A redirect is never followed and no proxy is
asked: the request carries the admin's token. Facts, section 8.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from rehearsal.builtin_backup.s3_access import is_loopback
from rehearsal.errors import EnvironmentUnfit, RehearsalError, UsageError
from rehearsal.journal import Redactor

_CONNECT_WITHIN = 10.0  # seconds
_LONGEST_ANSWER = 1 << 16
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class AdminAccess:
    """The addresses, and who asks.

    Attributes:
        backup_admin, file_broker_admin: base URL of each admin API; `/admin/…` is added.
        auth: base URL of auth, where a password is turned into a token; "" with a token.
        user: of the password.
        password, token: one of them.
        ca_file: PEM file of the authorities to trust; None: the public ones.

    Raises:
        UsageError: an address cannot be right, or would send a secret in the clear.
    """

    backup_admin: str
    file_broker_admin: str
    auth: str = ""
    user: str = "admin"
    password: SecretStr | None = field(default=None, repr=False)
    token: SecretStr | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.password is None) == (self.token is None):
            raise UsageError("the admin's password or a token is needed, one of them")
        if self.password is not None and not self.auth:
            raise UsageError("with a password the address of auth is needed, which turns it into a token")
        for url in (self.backup_admin, self.file_broker_admin, *([self.auth] if self.auth else [])):
            _check_address(url)

    def secrets(self) -> tuple[str, ...]:
        """For a redactor."""
        return tuple(one.get_secret_value() for one in (self.password, self.token) if one is not None)


class AdminCalls:
    """Asks the services.

    Args:
        redactor: learns the token that is got for a password, and what is sent.
        timeout: seconds that a call may take; some services answer only when the work is done.
    """

    def __init__(self, access: AdminAccess, redactor: Redactor, timeout: float) -> None:
        self._access = access
        self._redactor = redactor
        self._timeout = timeout
        self._token = access.token
        self._redactor.learn(access.secrets())

    def back_up_database(self, role: str) -> None:
        """`POST …/admin/backup/session-db`."""
        self._ask(self._access.backup_admin, f"/admin/backup/{role}")

    def back_up_files(self, storage_id: str) -> None:
        """`POST …/admin/storages/file-storage-0/backup`."""
        self._ask(self._access.file_broker_admin, f"/admin/storages/{storage_id}/backup")

    def log_in(self) -> None:
        """Turn the password into a token, once; with a token nothing is asked.

        Raises:
            RehearsalError: see `_post`; or what answered gave no token.
        """
        if self._token is None and self._access.password is not None:
            url = f"{self._access.auth.rstrip('/')}/tokens"
            answer = self._post(url, self._access.user, self._access.password.get_secret_value())
            text = answer.decode("ascii", "replace").strip().strip('"')
            if not _JWT.fullmatch(text):
                raise UsageError("what answered gave no token: this is not Chipster's auth", where=url)
            self._token = SecretStr(text)
            self._redactor.learn([text])

    def _ask(self, base: str, path: str) -> None:
        self.log_in()
        token = self._token.get_secret_value() if self._token is not None else ""
        self._post(f"{base.rstrip('/')}{path}", "token", token)

    def _post(self, url: str, user: str, secret: str) -> bytes:
        """An empty body, as the services want it; the beginning of what was answered.

        Raises:
            UsageError: not allowed, no such call, a redirect.
            EnvironmentUnfit: nobody answers, or the service fails.
        """
        basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
        self._redactor.learn([basic])
        parts = urlsplit(url)
        connection = self._connect(url)
        try:
            connection.connect()
            connection.sock.settimeout(self._timeout)
            headers = {"Authorization": f"Basic {basic}", "Content-Length": "0", "Accept": "*/*"}
            connection.request("POST", parts.path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise self._explain_silence(error, url) from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise self._explain_status(answer.status, answer.getheader("Location") or "", body, url)
        return body

    def _connect(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=_CONNECT_WITHIN)
        try:
            trusted = ssl.create_default_context(cafile=self._access.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"no certificate authorities can be read from it: {error.strerror}", where=str(self._access.ca_file)
            ) from None
        return http.client.HTTPSConnection(host, parts.port, timeout=_CONNECT_WITHIN, context=trusted)

    def _explain_silence(self, error: Exception, url: str) -> RehearsalError:
        hint = f"curl -sv -X POST {url}"
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"the service's certificate is not trusted: {error.verify_message}"
            return UsageError(why, where=url, hint="give the file of its authority as `ca-file`")
        if isinstance(error, ssl.SSLError):
            return UsageError("what answers there does not speak TLS", where=url, hint=hint)
        if isinstance(error, socket.gaierror):
            return EnvironmentUnfit("nobody knows the service's name", where=url, hint=hint)
        if isinstance(error, TimeoutError):
            return EnvironmentUnfit(f"the service did not answer within {self._timeout:g} s", where=url, hint=hint)
        if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.RemoteDisconnected):
            return UsageError("what answers there is no HTTP server", where=url, hint=hint)
        why = "connection refused" if isinstance(error, ConnectionRefusedError) else "the connection broke"
        return EnvironmentUnfit(f"no service answers there ({why})", where=url, hint=hint)

    def _explain_status(self, status: int, location: str, body: bytes, url: str) -> RehearsalError:
        if 300 <= status < 400:
            target = urlsplit(location)
            host = (target.hostname or "") + (f":{target.port}" if target.port else "")
            shown = f"{target.scheme}://{host}{target.path}" if target.scheme in ("http", "https") else "elsewhere"
            return UsageError(
                f"the service redirects to {shown} (HTTP {status}): not followed, the admin's secret would go along",
                where=url,
                hint="give the address that answers itself",
            )
        if status in (401, 403):
            return UsageError(
                f"the admin's password or token is not accepted (HTTP {status})",
                where=url,
                hint="the Secret `passwords` has the admin's password; a token is valid for 3 days",
            )
        if status in (404, 405):
            return UsageError(
                f"there is no such call (HTTP {status}): is this the base URL of the admin API?",
                where=url,
                hint="`backup-admin` and `file-broker-admin` are the services' admin ports, not their API ports",
            )
        said = self._redactor.clean(_say(body)) or "nothing"
        return EnvironmentUnfit(f"the service fails (HTTP {status}); it said: {said}", where=url, hint="kubectl logs …")


def _say(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
        text = str(found.get("message") or text) if isinstance(found, dict) else text
    except ValueError:
        pass
    return "".join(char if char.isprintable() else " " for char in text).strip()[:200]


def _check_address(url: str) -> None:
    bare = url.rpartition("@")[2]
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if "@" in url:
        raise UsageError("the address holds a user or a password", where=bare, hint="they belong into a file")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError("this is no base URL of a service", where=repr(url), hint="https://HOST[:PORT]/PATH")
    if parts.scheme == "http" and not is_loopback(url):
        raise UsageError(
            "http:// would send the admin's secret in the clear",
            where=url,
            hint="https://…; or `kubectl port-forward` and http://127.0.0.1:PORT",
        )
