"""Each thing that goes wrong with S3 is one error that names the place and what to type, and holds no key."""

import re
import socket
import threading
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fake_s3 import list_page, refuse, serve
from pydantic import SecretStr
from self_signed import write_certificate

from rehearsal.builtin_backup.places import ObjectMissing
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.s3_server import S3Server
from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError, UsageError
from rehearsal.journal import Journal
from rehearsal.shell import Shell

NAME = "file-storage-0_2026-04-30T01:10:00.123456789Z"
KEY = f"{NAME}/backup-info"
ACCESS_KEY = "AKIAEXAMPLE0123456789"
MIB = 1 << 20
SECRET = "Zq7verysecretindeed0123456789abcdefghijk"


def reach(endpoint, bucket="b-1", **fields):
    given = {"access_key": ACCESS_KEY, "secret_key": SecretStr(SECRET), "timeout": 5.0, "attempts": 1, **fields}
    return S3Bucket(S3Access(endpoint, bucket, **given))


def call(bucket, action):
    if action == "list":
        bucket.names()
    elif action == "read":
        list(bucket.read(KEY))
    elif action == "write":
        bucket.write(KEY, [b"x"])
    else:
        from rehearsal.builtin_backup.names import parse_name

        bucket.remove(parse_name(NAME))


def fail(bucket, action="list"):
    """The error of a call, after a look that it names the place, says what to type and tells no key."""
    with pytest.raises(RehearsalError) as caught:
        call(bucket, action)
    error = caught.value
    told = "".join(traceback.format_exception(error))
    for secret in (bucket.access.access_key, bucket.access.secret_key.get_secret_value()):
        assert secret not in told
    assert bucket.access.bucket in error.where
    assert bucket.access.endpoint in error.where
    assert action == "list" or KEY in error.where
    assert error.hint
    assert "\n" not in error.what
    return error


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3")
    journal = Journal(folder / "journal.jsonl")
    with S3Server(Shell(journal), folder / "storage", folder / "log") as running:
        S3Bucket(running.access()).write(KEY, [b"x"])
        yield running
    journal.close()


# -- rclone serve s3 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["list", "read", "write"])
def test_a_wrong_secret(server, action):
    bucket = reach(server.endpoint, "chipster-backups", access_key=server.access_key)
    error = fail(bucket, action)
    assert isinstance(error, UsageError)
    assert error.what == "the secret key is wrong: the S3 server computed another signature"
    assert "AWS_SECRET_ACCESS_KEY" in error.hint


def test_an_access_key_that_is_not_known(server):
    error = fail(reach(server.endpoint, "chipster-backups", secret_key=server.secret_key))
    assert isinstance(error, UsageError)
    assert error.what == "the S3 server does not know the access key"


@pytest.mark.parametrize("action", ["list", "read", "write"])
def test_a_missing_bucket(server, action):
    bucket = reach(server.endpoint, "no-such", access_key=server.access_key, secret_key=server.secret_key)
    error = fail(bucket, action)
    assert isinstance(error, UsageError)
    assert error.what == "there is no bucket 'no-such'"
    assert error.hint == f"aws --endpoint-url {server.endpoint} s3 ls"


# -- what rclone cannot be made to say --------------------------------------------------------------------------------


def answered(answer, action="list", **fields):
    with serve(lambda _: answer) as fake:
        return fail(reach(fake.endpoint, **fields), action)


@pytest.mark.parametrize(
    ("action", "right"),
    [
        ("list", "s3:ListBucket on arn:aws:s3:::b-1"),
        ("read", "s3:GetObject on arn:aws:s3:::b-1/*"),
        ("write", "s3:PutObject on arn:aws:s3:::b-1/*"),
    ],
)
def test_no_permission(action, right):
    error = answered(refuse(403, "AccessDenied", "Access Denied"), action)
    assert isinstance(error, UsageError)
    assert error.what == f"the S3 keys are not allowed to {action} here"
    assert error.hint == f"allow {right}"


def test_no_permission_to_delete():
    def answer(asked):
        return list_page([(KEY, 1)], asked) if asked.method == "GET" else refuse(403, "AccessDenied")

    with serve(answer) as fake:
        assert "s3:DeleteObject" in fail(reach(fake.endpoint), "delete").hint


@pytest.mark.parametrize(("days", "word"), [(1, "behind"), (-1, "ahead of")])
def test_a_clock_that_is_off_by_a_day(days, word):
    date = format_datetime(datetime.now(UTC) + timedelta(days=days), usegmt=True)
    error = answered(refuse(403, "RequestTimeTooSkewed", "The difference is too large.", Date=date))
    assert isinstance(error, EnvironmentUnfit)
    assert error.what == f"the clock here is 24 h 0 min {word} the S3 server's: it refuses every signature"
    assert error.hint == "timedatectl set-ntp true"


def test_a_clock_that_is_off_by_nobody_knows_what():
    error = answered(refuse(403, "RequestTimeTooSkewed", Date="today"))
    assert "too far from the S3 server's" in error.what


def test_a_session_token_that_expired():
    assert "AWS_SESSION_TOKEN" in answered(refuse(400, "ExpiredToken")).hint


def test_another_region_is_named():
    answer = refuse(400, "AuthorizationHeaderMalformed", more="<Region>eu-north-1</Region>")
    assert answered(answer).hint.startswith("export AWS_DEFAULT_REGION=eu-north-1 ")


def test_no_room():
    error = answered(refuse(403, "QuotaExceeded"), "write")
    assert error.what == "the S3 server has no room for it (QuotaExceeded)"


def test_bytes_that_arrived_otherwise_than_they_were_sent():
    assert isinstance(fail_with_hint_optional(refuse(400, "BadDigest"), "write"), StreamError)


def fail_with_hint_optional(answer, action):
    with serve(lambda _: answer) as fake, pytest.raises(RehearsalError) as caught:
        call(reach(fake.endpoint), action)
    return caught.value


def test_an_object_in_cold_storage():
    error = answered(refuse(403, "InvalidObjectState"), "read")
    assert "cold storage" in error.what
    assert "restore-object --bucket b-1" in error.hint


def test_an_object_that_is_not_there():
    assert isinstance(fail_with_hint_optional(refuse(404, "NoSuchKey"), "read"), ObjectMissing)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_server_that_always_fails_is_asked_as_often_as_allowed(attempts):
    with serve(lambda _: refuse(500, "InternalError", "We failed.")) as fake:
        error = fail(reach(fake.endpoint, attempts=attempts))
        assert len(fake.asked) == attempts
    assert error.what.endswith("asked once" if attempts == 1 else "asked 2 times")


def test_a_word_that_is_not_known_is_passed_on_without_keys():
    message = f"key {ACCESS_KEY} with {SECRET}\n of session FwoGZXIvYXdzEXAMPLETOKEN1234 is odd"
    error = answered(refuse(400, "OddThing", message))
    assert error.what == "the S3 server refuses: OddThing: key [removed] with [removed]  of session [removed] is odd"


def test_short_keys_are_not_passed_on_either():
    answer = refuse(400, "OddThing", "minio and minio123 are odd")
    error = answered(answer, access_key="minio", secret_key=SecretStr("minio123"))
    assert error.what == "the S3 server refuses: OddThing: [redacted] and [redacted] are odd"


def test_the_answer_of_a_server_that_quotes_the_keys_is_not_passed_on():
    quoted = f"<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><StringToSign>AWS4 {SECRET}</StringToSign>"
    assert "secret key is wrong" in answered(refuse(403, "SignatureDoesNotMatch", ACCESS_KEY, more=quoted)).what


@pytest.mark.parametrize(("status", "told"), [(502, "fails (502)"), (500, "is no S3 server, or fails")])
def test_a_failure_without_words_of_s3(status, told):
    assert told in answered((status, {"Content-Type": "text/html"}, b"<html><p>sorry<br></html>")).what


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "text/html"}, b"<!doctype html><p>It works!<br></html>"),
        (200, {"Content-Type": "text/html"}, b"<html><body>well formed</body></html>"),
        (200, {"Content-Type": "application/json"}, b'{"ok": true}'),
        (200, {}, b""),
        (404, {"Content-Type": "text/html"}, b"<html>Not Found</html>"),
        (405, {}, b""),
        (404, {"Content-Type": "text/plain"}, b"404 page not found\n"),
    ],
    ids=["html", "xhtml", "json", "empty", "404 page", "405", "404 text"],
)
def test_what_is_no_s3_server_is_never_taken_for_an_empty_bucket(answer):
    error = answered(answer)
    assert isinstance(error, UsageError)
    assert "is no S3 server" in error.what
    assert error.hint.startswith("curl -sv http://127.0.0.1:")


def test_a_server_that_is_not_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        error = fail(reach(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert isinstance(error, EnvironmentUnfit)
    assert error.what == "no S3 server answers there (connection refused), asked once"


@pytest.mark.parametrize("path_style", [True, False])
def test_a_name_that_nobody_knows(path_style, monkeypatch):
    def resolve(*args, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("no_proxy", "*")
    error = fail(reach("http://s3.test", path_style=path_style))
    assert error.what.startswith("nobody knows the S3 server's name")
    assert ("by path" in error.what) is not path_style


def test_a_proxy_that_is_not_there_and_whose_password_is_not_told(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://user:{SECRET}@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert "proxy" in fail(reach("http://s3.test")).what


@pytest.mark.parametrize("begun", [False, True], ids=["says nothing", "stops in the middle"])
def test_a_slow_server(begun):
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def stay_silent():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                if begun:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + bytes(2 * MIB + 3))
                done.wait(30)

        thread = threading.Thread(target=stay_silent)
        thread.start()
        try:
            error = fail(reach(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2), "read")
        finally:
            done.set()
            thread.join()
    if begun:
        assert isinstance(error, StreamError)
        assert f"{2 * MIB} bytes came of 9000000" in error.what  # the rest of a chunk is not handed on
        assert error.what.endswith("nothing came for 0.2 s")
    else:
        assert isinstance(error, EnvironmentUnfit)
        assert error.what == "the S3 server did not answer within 0.2 s, asked once"


def test_a_server_that_hangs_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            connection, _ = listener.accept()
            connection.recv(10)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        error = fail(reach(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        thread.join()
    assert "the connection broke before an answer came" in error.what


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("tls"))


def test_an_authority_that_is_not_known_and_one_that_is_given(certificate, monkeypatch):
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with serve(lambda asked: list_page([], asked), tls=certificate) as fake:
        error = fail(reach(fake.endpoint))
        assert isinstance(error, UsageError)
        assert error.what == "the S3 server's certificate is signed by an authority that is not known here"
        assert "AWS_CA_BUNDLE" in error.hint
        assert reach(fake.endpoint, ca_file=certificate[0]).names() == ()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
        assert reach(fake.endpoint).names() == ()


@pytest.mark.parametrize(
    ("made", "told"),
    [({"days": (-9, -1)}, "not valid today"), ({"address": bytes((10, 0, 0, 1))}, "is another host's")],
    ids=["expired", "another host"],
)
def test_a_certificate_that_does_not_fit(tmp_path, made, told):
    tls = write_certificate(tmp_path, **made)
    with serve(lambda asked: list_page([], asked), tls=tls) as fake:
        assert told in fail(reach(fake.endpoint, ca_file=tls[0])).what


def test_https_where_http_is_spoken():
    with serve(lambda asked: list_page([], asked)) as fake:
        error = fail(reach(fake.endpoint.replace("http:", "https:")))
    assert "does not speak TLS" in error.what
    assert error.hint == fake.endpoint


def test_http_where_tls_is_spoken(certificate):
    with serve(lambda asked: list_page([], asked), tls=certificate) as fake:
        error = fail(reach(fake.endpoint.replace("https:", "http:")))
    assert re.search("no S3 server", error.what)


@pytest.mark.parametrize("content", [None, "nothing\n"])
def test_a_file_of_authorities_in_the_environment_that_holds_none(tmp_path, monkeypatch, certificate, content):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    if content:
        (tmp_path / "ca.pem").write_text(content)
    with serve(lambda asked: list_page([], asked), tls=certificate) as fake:
        assert "AWS_CA_BUNDLE" in fail(reach(fake.endpoint)).what
