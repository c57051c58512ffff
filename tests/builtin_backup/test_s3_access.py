import pytest
from pydantic import SecretStr

from rehearsal.builtin_backup.s3_access import S3Access, parse_s3_url
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.errors import UsageError

SECRET = "Zq7/very+secret/indeed0123456789abcdefgh"


@pytest.fixture(autouse=True)
def no_keys_of_the_users(monkeypatch, tmp_path):
    for name in ("PROFILE", "DEFAULT_PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("S3://my.bucket-1/a/b/", ("my.bucket-1", "a/b")),
    ],
)
def test_the_address_of_a_bucket_is_taken_apart(url, parts):
    assert parse_s3_url(url) == parts


@pytest.mark.parametrize("url", ["s3:/bucket", "s3://", "s3:///key", "bucket", "https://bucket", "s3://a b"])
def test_what_is_no_address_of_a_bucket_is_refused(url):
    with pytest.raises(UsageError, match="not the address of a bucket"):
        parse_s3_url(url)


@pytest.mark.parametrize(
    ("endpoint", "hint"),
    [
        ("a3s.example.org", "https://a3s.example.org"),
        ("127.0.0.1:9000", "https://127.0.0.1:9000"),
        ("ftp://a3s.example.org", "https://a3s.example.org"),
        ("//a3s.example.org", "https://a3s.example.org"),
        (f"key:{SECRET}@a3s.example.org", "https://a3s.example.org"),
        (f"https://key:{SECRET}@a3s.example.org", "https://a3s.example.org"),
        (f"https://key:{SECRET.replace('/', '')}@a3s.example.org", "https://a3s.example.org"),
        ("https://", "https://HOST[:PORT]"),
        ("https://host:port", "https://HOST[:PORT]"),
        ("https://host/?a=b", "https://HOST[:PORT]"),
    ],
)
def test_an_endpoint_that_cannot_be_one_is_refused_with_what_to_type(endpoint, hint):
    with pytest.raises(UsageError) as caught:
        S3Access(endpoint, "bucket")
    assert caught.value.hint == hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bucket", ["", "a", "a/b", "-a-", "bucket name"])
def test_a_bucket_that_cannot_be_one_is_refused(bucket):
    with pytest.raises(UsageError, match="cannot be the name of a bucket"):
        S3Access("https://h", bucket)


def test_half_a_pair_of_keys_a_wrong_region_and_a_missing_authority_are_refused(tmp_path):
    with pytest.raises(UsageError, match="needed together"):
        S3Access("https://h", "bucket", access_key="AKIA")
    with pytest.raises(UsageError, match="needed together"):
        S3Access("https://h", "bucket", secret_key=SecretStr(SECRET))
    with pytest.raises(UsageError, match="cannot be a region"):
        S3Access("https://h", "bucket", region="a b")
    (tmp_path / "empty.pem").write_text("nothing\n")
    for name in ("absent.pem", "empty.pem"):
        with pytest.raises(UsageError, match="no certificate authorities can be read from it") as caught:
            S3Access("https://h", "bucket", ca_file=tmp_path / name)
        assert caught.value.where == str(tmp_path / name)


def test_no_key_is_in_what_is_printed_of_an_access():
    access = S3Access("https://h", "bucket", prefix="/a/b/", access_key="AKIA1234", secret_key=SecretStr(SECRET))
    assert SECRET not in repr(access) + str(access)
    assert "AKIA1234" not in repr(access)
    assert access.shown == "s3://bucket/a/b at https://h"
    assert access.key_prefix == "a/b/"


def test_no_keys_anywhere_is_one_error_and_asks_no_metadata_service(monkeypatch):
    def ask(*args, **options):
        raise AssertionError("the instance metadata was asked")

    monkeypatch.setattr("botocore.utils.IMDSFetcher._get_request", ask)
    monkeypatch.setattr("botocore.utils.IMDSFetcher._fetch_metadata_token", ask)
    with pytest.raises(UsageError, match="no S3 keys") as caught:
        S3Bucket(S3Access("http://127.0.0.1:9", "bucket", attempts=1)).names()
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_a_profile_that_is_not_there_is_one_error(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UsageError, match="AWS_PROFILE"):
        S3Bucket(S3Access("http://127.0.0.1:9", "bucket")).names()


def test_a_damaged_profile_file_is_one_error(tmp_path):
    (tmp_path / "config").write_text("no section\n")
    with pytest.raises(UsageError, match="its file is damaged"):
        S3Bucket(S3Access("http://127.0.0.1:9", "bucket")).names()


def test_keys_that_are_given_need_no_profile(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    (tmp_path / "config").write_text("no section\n")
    client = S3Access("http://127.0.0.1:9", "bucket", access_key="AKIA", secret_key=SecretStr(SECRET)).make_client()
    keys = client._request_signer._credentials.get_frozen_credentials()
    assert (keys.access_key, keys.secret_key, keys.token) == ("AKIA", SECRET, None)


def test_keys_and_region_come_from_the_profile(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "site")
    (tmp_path / "config").write_text("[profile site]\nregion = regionOne\n")
    (tmp_path / "credentials").write_text(f"[site]\naws_access_key_id = AKIA2\naws_secret_access_key = {SECRET}\n")
    client = S3Access("https://h", "bucket").make_client()
    assert client.meta.region_name == "regionOne"
    assert client._request_signer._credentials.get_frozen_credentials().access_key == "AKIA2"
    assert S3Access("https://h", "bucket", region="other").make_client().meta.region_name == "other"
