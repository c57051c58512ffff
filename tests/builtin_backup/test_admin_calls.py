"""What is asked of the real services, with which words, and one clear error for every other answer than 200."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from admin_server import PASSWORD, TOKEN, AdminServer, serve
from pydantic import SecretStr
from self_signed import write_certificate

from rehearsal.builtin_backup.admin_calls import AdminAccess, AdminCalls
from rehearsal.errors import EnvironmentUnfit, RehearsalError, UsageError
from rehearsal.journal import Redactor

CALL = "/backup-admin/admin/backup/session-db"


@pytest.fixture
def server() -> Iterator[AdminServer]:
    with serve() as played:
        yield played


def access_to(url: str, password: str = PASSWORD, ca_file: Path | None = None) -> AdminAccess:
    return AdminAccess(
        backup_admin=f"{url}/backup-admin",
        file_broker_admin=f"{url}/file-broker-admin/",
        auth=f"{url}/auth",
        password=SecretStr(password),
        ca_file=ca_file,
    )


def calls_to(access: AdminAccess, redactor: Redactor | None = None) -> AdminCalls:
    return AdminCalls(access, redactor or Redactor(), 5.0)


def test_the_calls_are_those_of_the_manual_with_a_token_for_the_password(server: AdminServer) -> None:
    redactor = Redactor()
    calls = calls_to(access_to(server.url), redactor)
    calls.back_up_database("session-db")
    calls.back_up_database("auth")
    calls.back_up_files("file-storage-0")
    assert server.asked == [
        "POST /auth/tokens",
        "POST /backup-admin/admin/backup/session-db",
        "POST /backup-admin/admin/backup/auth",
        "POST /file-broker-admin/admin/storages/file-storage-0/backup",
    ]
    assert server.secrets == [f"admin:{PASSWORD}", *3 * [f"token:{TOKEN}"]]
    assert server.bodies == 4 * [b""]
    assert redactor.clean(f"{PASSWORD} {TOKEN}") == "[redacted] [redacted]"


def test_a_token_needs_no_log_in(server: AdminServer) -> None:
    access = replace(access_to(server.url), password=None, auth="", token=SecretStr(TOKEN))
    calls_to(access).back_up_database("session-db")
    assert server.asked == [f"POST {CALL}"]
    assert PASSWORD not in repr(access_to(server.url)) and TOKEN not in repr(access)


def test_a_wrong_password_or_token_is_told_without_it(server: AdminServer) -> None:
    with pytest.raises(UsageError, match=r"password or token is not accepted \(HTTP 403\)") as caught:
        calls_to(access_to(server.url, "not-the-password")).back_up_database("session-db")
    assert server.asked == ["POST /auth/tokens"], "nothing else was asked"
    assert caught.value.where == f"{server.url}/auth/tokens"
    wrong = replace(access_to(server.url), password=None, token=SecretStr("an.old.token"))
    with pytest.raises(UsageError, match=r"not accepted \(HTTP 401\)") as refused:
        calls_to(wrong).back_up_database("session-db")
    assert "not-the-password" not in str(caught.value) + str(refused.value)
    assert "an.old.token" not in str(refused.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: AdminServer, status: int) -> None:
    with serve() as elsewhere:
        location = elsewhere.url.replace("http://", "http://user:secret-of-theirs@") + "/here?token=secret-of-theirs"
        server.answers[CALL] = (status, {"Location": location}, b"")
        with pytest.raises(
            UsageError, match=rf"redirects to {elsewhere.url}/here \(HTTP {status}\): not followed"
        ) as caught:
            calls_to(access_to(server.url)).back_up_database("session-db")
        assert elsewhere.asked == []
    assert "secret-of-theirs" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((500, {}, b'{"message": "no space left"}'), EnvironmentUnfit, r"fails \(HTTP 500\); it said: no space left"),
        ((500, {}, f"echo {TOKEN}\r\n\x1b[2J".encode()), EnvironmentUnfit, r"it said: echo \[redacted\]"),
        ((503, {}, b""), EnvironmentUnfit, r"fails \(HTTP 503\); it said: nothing"),
        ((404, {}, b"<html>"), UsageError, r"there is no such call \(HTTP 404\)"),
        ((405, {}, b""), UsageError, r"there is no such call \(HTTP 405\)"),
    ],
)
def test_whatever_is_no_200_is_one_clear_error(
    server: AdminServer, answer: tuple[int, dict[str, str], bytes], error: type[RehearsalError], said: str
) -> None:
    server.answers[CALL] = answer
    with pytest.raises(error, match=said) as caught:
        calls_to(access_to(server.url)).back_up_database("session-db")
    assert caught.value.where == f"{server.url}{CALL}"
    assert caught.value.hint
    assert TOKEN not in str(caught.value)


def test_what_is_no_auth_gives_no_token(server: AdminServer) -> None:
    server.answers["/auth/tokens"] = (200, {}, b"<html>Welcome</html>")
    with pytest.raises(UsageError, match="this is not Chipster's auth"):
        calls_to(access_to(server.url)).back_up_database("session-db")


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(EnvironmentUnfit, match=r"no service answers there \(connection refused\)") as caught:
        calls_to(access_to(url)).back_up_database("session-db")
    assert caught.value.hint == f"curl -sv -X POST {url}/auth/tokens"
    with pytest.raises(EnvironmentUnfit, match="nobody knows the service's name"):
        calls_to(access_to("https://no-such-host.invalid")).back_up_database("session-db")


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", UsageError, "no HTTP server"),
        (b"", EnvironmentUnfit, "the connection broke"),
        (None, EnvironmentUnfit, "did not answer within 0.2 s"),
    ],
)
def test_what_answers_is_no_service(said: bytes | None, error: type[RehearsalError], words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if said is None:
                    done.wait(10)
                else:
                    connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(error, match=words):
            AdminCalls(access_to(f"http://127.0.0.1:{listener.getsockname()[1]}"), Redactor(), 0.2).log_in()
        done.set()
        thread.join()


def test_a_certificate_counts_only_with_its_authority(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    with serve((certificate, key)) as server:
        with pytest.raises(UsageError, match="certificate is not trusted") as caught:
            calls_to(access_to(server.url)).log_in()
        assert "`ca-file`" in caught.value.hint
        assert server.asked == []
        calls_to(access_to(server.url, ca_file=certificate)).back_up_database("session-db")
        assert server.asked[-1] == f"POST {CALL}"
        with pytest.raises(UsageError, match="no certificate authorities can be read") as unread:
            calls_to(access_to(server.url, ca_file=tmp_path / "none.pem")).log_in()
        assert unread.value.where == str(tmp_path / "none.pem")
        with pytest.raises(UsageError, match="does not speak TLS"), serve() as plain:
            calls_to(access_to(plain.url.replace("http://", "https://"))).log_in()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://chipster.example.org", "in the clear"),
        ("https://admin:secret-word@chipster.example.org", "holds a user or a password"),
        ("chipster.example.org", "no base URL"),
        ("https://", "no base URL"),
        ("https://chipster.example.org/?a=b", "no base URL"),
        ("https://[", "no base URL"),
        ("ftp://chipster.example.org", "no base URL"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused_before_anything_is_asked(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        access_to(url)
    assert "secret-word" not in str(caught.value)


def test_one_secret_and_where_a_password_becomes_a_token() -> None:
    url = "https://chipster.example.org"
    with pytest.raises(UsageError, match="one of them"):
        AdminAccess(url, url)
    with pytest.raises(UsageError, match="one of them"):
        AdminAccess(url, url, auth=url, password=SecretStr("x"), token=SecretStr("y"))
    with pytest.raises(UsageError, match="the address of auth is needed"):
        AdminAccess(url, url, password=SecretStr("x"))
