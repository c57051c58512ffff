"""values.yaml as Helm reads it: merging, defaults, and one clear message for everything that cannot be."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.deployment import Deployment
from rehearsal.errors import ValuesError
from rehearsal.values import make_deployment, read_values, redact_values
from rehearsal.values_file import Node, Place, merge, read_tree
from rehearsal.values_secrets import REMOVED, is_secret_key

EXAMPLE = Path(__file__).parents[1] / "docs" / "values.example.yaml"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "values.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def deploy(*paths: Path) -> Deployment:
    return make_deployment(read_values(paths))


def complaint(*paths: Path) -> str:
    """The message, the folder taken out of it."""
    with pytest.raises(ValuesError) as caught:
        deploy(*paths)
    return str(caught.value).replace(f"{paths[0].parent}/", "")


def test_no_file_is_the_charts_defaults() -> None:
    deployment = deploy()
    assert [(d.key, d.name, d.db_name, d.pod) for d in deployment.databases] == [
        ("sessionDb", "session-db", "session_db_db", "chipster-session-db-postgresql-0"),
        ("auth", "auth", "auth_db", "chipster-auth-postgresql-0"),
        ("jobHistory", "job-history", "job_history_db", "chipster-job-history-postgresql-0"),
    ]
    assert (deployment.file_replicas, deployment.storage_size, deployment.storage_class) == (1, "300Gi", "")
    assert (deployment.postgres_image, deployment.file_image) == ("postgresql-14:latest", "backup:latest")
    assert deployment.security_context == {"runAsNonRoot": True, "runAsUser": 1000}
    assert deployment.generated_passwords == ("session-db", "auth", "job-history")
    assert len({d.password.get_secret_value() for d in deployment.databases}) == 3


def test_the_example_is_read(tmp_path: Path) -> None:
    deployment = deploy(EXAMPLE)
    assert deployment.storage_size == "20Gi"
    assert deployment.postgres_image == "postgresql-14:v4.18.0"
    assert deployment.sources == (str(EXAMPLE),)
    assert deployment.secrets() == tuple(d.password.get_secret_value() for d in deployment.databases)
    assert REMOVED not in redact_values(read_values([EXAMPLE]))


def test_later_files_win_key_by_key_and_null_deletes(write: Write) -> None:
    first = write(
        "databases: {auth: {name: users, hostPath: /mnt/auth}}\nsecurityContext: {runAsUser: 7}\n"
        "deployments: {fileStorage: {storageVolumeSize: 1Gi, replicas: 2}}\n",
        "a.yaml",
    )
    second = write(
        '{"databases": {"auth": {"hostPath": null}}, "securityContext": {"runAsNonRoot": null},'
        ' "deployments": {"fileStorage": {"replicas": "3"}}}',
        "b.json",
    )
    deployment = deploy(first, second)
    auth = deployment.databases[1]
    assert (auth.name, auth.db_name, auth.host_path) == ("users", "auth_db", "")
    assert deployment.security_context == {"runAsUser": 7}
    assert (deployment.storage_size, deployment.file_replicas) == ("1Gi", 3)


@pytest.mark.parametrize(
    ("text", "replicas"),
    [
        ("{}", 1),
        ("deployments: {fileStorage: {replicas: ''}}", 1),
        ("deployments: {fileStorage: {replicas: ''}}\ndeploymentDefault: {replicas: '2'}", 2),
        ("deployments: {fileStorage: {replicas: 4}}\ndeploymentDefault: {replicas: 2}", 4),
    ],
)
def test_replicas(write: Write, text: str, replicas: int) -> None:
    assert deploy(write(text)).file_replicas == replicas


def test_a_disabled_database_is_named(write: Write) -> None:
    deployment = deploy(write("databases: {jobHistory: {enabled: false, dbName: 'never looked at'}}"))
    assert [d.name for d in deployment.databases] == ["session-db", "auth"]
    assert deployment.disabled == ("job-history",)


def test_aliases_merge_keys_and_helms_scalars(write: Write) -> None:
    deployment = deploy(
        write(
            "base: &base {enabled: true, hostPath: /mnt/a}\n"
            "databases: {auth: {<<: *base, hostPath: /mnt/b}, sessionDb: {<<: [*base]}}\n"
            "image: {tag: 4.18}\n"
            "other: {when: 2024-02-30, at: 12:30, 1: one, half: '\\ud83d'}\n"
        )
    )
    assert [d.host_path for d in deployment.databases] == ["/mnt/a", "/mnt/b", ""]
    assert deployment.postgres_image == "postgresql-14:4.18"
    tree = read_tree(write('when: 2024-02-30\nat: 12:30\n1: 0x10\nn: 017\nj: "\\ud83d\\ude00"\n')).plain()
    assert tree == {"when": "2024-02-30", "at": "12:30", "1": 16, "n": 15, "j": "\N{GRINNING FACE}"}


@pytest.mark.parametrize("form", ["data", "stringData", "plain JSON"])
def test_passwords_come_from_the_secret(write: Write, form: str) -> None:
    inner = json.dumps(
        {
            "databases": {"auth": {"password": "pw-auth-1"}, "sessionDb": {"password": "pw-session-1"}},
            "tokens": {"auth": {"privateKey": "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIJ0123456789\n"}},
        }
    )
    encoded = base64.b64encode(inner.encode()).decode()
    manifest = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "passwords"}}
    text = {
        "data": yaml.safe_dump({**manifest, "data": {"values.yaml": encoded}}),
        "stringData": yaml.safe_dump({**manifest, "stringData": {"values.yaml": inner}}),
        "plain JSON": inner,
    }[form]
    deployment = deploy(write("databases: {auth: {name: users}}"), write(text, "passwords.yaml"))
    assert {d.name: d.password.get_secret_value() for d in deployment.databases[:2]} == {
        "session-db": "pw-session-1",
        "users": "pw-auth-1",
    }
    assert deployment.generated_passwords == ("job-history",)
    assert "MHcCAQEEIJ0123456789" in deployment.secrets()


def test_every_secret_is_known_and_taken_out(write: Write) -> None:
    text = """
databases: {auth: {password: db-password-1}}
users: {chipster: {password: user-password-1}}
deployments:
  backup:
    configs:
      backup-s3-access-key: ACCESS123456
      backup-s3-secret-key: SECRET123456
      backup-gpg-passphrase: gpg passphrase 1
      backup-gpg-public-key: a public block
      backup-bucket: bucket-of-db-password-1
      backup-s3-endpoint: https://user:url-password@s3.example.org
  fileStorage: {env: [{name: SOME_TOKEN, value: env-token-1}, {name: COLOUR, value: green}]}
tokens: {auth: {validity: 3d, extra: token-extra-1}}
ingress: {tls: {secretName: chipster}}
pem: "-----BEGIN RSA PRIVATE KEY-----"
"""
    values = read_values([write(text)])
    wanted = {
        "db-password-1", "user-password-1", "ACCESS123456", "SECRET123456", "gpg passphrase 1", "url-password",
        "env-token-1", "token-extra-1", "-----BEGIN RSA PRIVATE KEY-----",
    }  # fmt: skip
    deployment = make_deployment(values)
    generated = {d.password.get_secret_value() for d in deployment.databases[::2]}
    assert set(deployment.secrets()) == wanted | generated
    assert not any(secret in repr(deployment) for secret in wanted | generated)
    copy = redact_values(values)
    assert not any(secret in copy for secret in wanted)
    kept = yaml.safe_load(copy)
    assert kept["ingress"] == {"tls": {"secretName": "chipster"}}
    assert kept["deployments"]["backup"]["configs"]["backup-bucket"] == f"bucket-of-{REMOVED}"
    assert kept["deployments"]["backup"]["configs"]["backup-s3-endpoint"] == f"https://{REMOVED}@s3.example.org"
    assert kept["deployments"]["fileStorage"]["env"][1] == {"name": "COLOUR", "value": "green"}
    assert kept["databases"] == {"auth": {"password": REMOVED}}


def test_three_malformed_files_and_their_messages(write: Write) -> None:
    """The three that the issue asks for, word by word."""
    wrong_type = write("host: h\ndatabases:\n  sessionDb:\n    name:\n      - session-db\n", "wrong-type.yaml")
    assert complaint(wrong_type) == "wrong-type.yaml:4: databases.sessionDb.name: found a list; wanted text in quotes"
    quantity = write("deployments:\n  fileStorage:\n    storageVolumeSize: 300 GB\n", "bad-quantity.yaml")
    assert complaint(quantity) == (
        "bad-quantity.yaml:3: deployments.fileStorage.storageVolumeSize: found text '300 GB'; "
        "wanted a Kubernetes quantity above zero, such as '300Gi' or '500M'"
    )
    broken = write("databases:\n  auth:\n    dbName: auth_db\n   password: hunter2hunter2\n", "broken.yaml")
    assert complaint(broken) == (
        "broken.yaml:4: not valid YAML: while parsing a block mapping, expected <block end>, but found "
        "'<block mapping start>'\n"
        "  next: look at that line and the one above it: indentation, a missing quote or colon"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("databases: {auth: {name: session-db}}", "1: databases.auth.name: found 'session-db', which is also"),
        ("databases: {auth: {name: Auth_DB}}", "found text 'Auth_DB'; wanted a DNS label"),
        (f"databases: {{auth: {{name: {'a' * 33}}}}}", "at most 32 characters"),
        ("databases: {auth: {name: file-storage-0}}", "wanted a name that file-storage does not have"),
        ('databases: {auth: {dbName: "auth\'; rm -rf /"}}', "wanted letters, digits, _, - and $"),
        ("databases: {auth: {dbName: null}}", "databases.auth.dbName: found nothing (null); wanted text"),
        ("databases: {auth: null}", "write databases.auth.enabled: false"),
        ("databases: [auth]", "1: databases: found a list; wanted a mapping"),
        ("databases:\n  auth: yes please", "2: databases.auth: found text 'yes please'; wanted a mapping"),
        ("databases: {auth: {enabled: 'no'}}", "found text 'no'; wanted true or false, without quotes"),
        ("databases: {auth: {hostPath: mnt/auth}}", "wanted an absolute directory"),
        ("databases: {auth: {hostPath: /}}", "wanted an absolute directory"),
        ("databases: {auth: {hostPath: /mnt/../etc}}", "wanted an absolute directory"),
        (
            "databases: {auth: {hostPath: /mnt/x/}}\ndeployments: {fileStorage: {storageHostPath: /mnt/x}}",
            "found '/mnt/x', which is also deployments.fileStorage.storageHostPath",
        ),
        ("deployments: {fileStorage: {storageHostPath: /mnt/x, replicas: 2}}", "one directory for 2 file-storage"),
        ("deployments: {fileStorage: {replicas: 0}}", "found a number 0; wanted a whole number from 1 to 64"),
        ("deployments: {fileStorage: {replicas: true}}", "found true; wanted a whole number"),
        ("deployments: {fileStorage: {replicas: 1.0}}", "found a number 1.0; wanted a whole number"),
        ("deploymentDefault: {replicas: two}", "deploymentDefault.replicas: found text 'two'"),
        ("deployments: {fileStorage: {storageVolumeSize: 0Gi}}", "above zero"),
        ("deployments: {fileStorage: {storageVolumeSize: ['1Gi']}}", "found a list"),
        ("deployments: {fileStorage: {storageClassName: Fast}}", "wanted the name of a StorageClass"),
        ("deployments: {backup: {configs: {backup-daily-count: 24}}}", "found a number 24; wanted text in quotes"),
        ("deployments: {backup: {configs: {backup-s3-path-style-access: true}}}", "found true; wanted text in"),
        ("image: {localPullPolicy: Sometimes}", "wanted one of Always, IfNotPresent, Never"),
        ("image: {tag: 'a b'}", "wanted an image tag"),
        ("image: {chipsterImageRepo: 'a b/'}", "wanted a registry path"),
        ("securityContext: root", "found text 'root'; wanted a mapping"),
        ("- a\n- b\n", "values.yaml:1: found a list at the top; wanted a mapping"),
        ("just words", "found text at the top"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "values.yaml:4: found the key `c` twice in one mapping, first in line 3"),
        ("? [a, b]\n: c\n", "found a list or a mapping as a key"),
        ("a: !!python/object:os.system {}\nb: 1", "found a YAML tag that Helm"),
        ("a: !!binary aGk=", "found a YAML tag that Helm does not know"),
        ("a: {<<: 5}", "found a number after `<<`"),
        ("a: &a [*a]", "nested deeper than 100 levels"),
        ("a: " + "[" * 20_000, "nested deeper than 100 levels"),
        ("a: " + "9" * 5_000, "found a number that is no number"),
        ("a: 1\n--- \nb: 2\n", "expected a single document"),
        ("a: \x07", "found the control character U+0007"),
        (b"a: 1\nb: caf\xe9\n", "values.yaml:2: found byte 0xe9, which is not UTF-8"),
        (b"#" * 5_000_001, "larger than 5,000,000 bytes"),
        ("kind: Secret\ndata: {}", "found a Secret without a key `values.yaml`"),
        ("kind: Secret\ndata:\n  values.yaml: '?'", "values.yaml:3: data.values.yaml: found text that is not base64"),
        ("kind: Secret\nstringData: {values.yaml: 'a: ['}", "values.yaml, stringData.values.yaml:1: not valid YAML"),
    ],
)
def test_what_cannot_be_is_one_message(write: Write, text: str | bytes, said: str) -> None:
    assert said in complaint(write(text))


def test_the_later_file_is_the_one_blamed(write: Write) -> None:
    good = write("databases: {auth: {name: users}}\n", "a.yaml")
    bad = write("\n\ndatabases: {jobHistory: {name: users}}\n", "b.yaml")
    assert complaint(good, bad).startswith("b.yaml:3: databases.jobHistory.name: found 'users', which is also")


def test_an_alias_bomb_is_refused(write: Write) -> None:
    lines = ["a0: &a0 {x: [1, 2, 3, 4, 5, 6, 7, 8, 9]}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "more than 200,000 values once its aliases are followed" in complaint(write("\n".join(lines)))
    merges = ["m0: &m0 {x: 1}", *(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 12))]
    assert "more than 200,000 values" in complaint(write("\n".join(merges)))


def test_files_that_are_not_there(tmp_path: Path, write: Write) -> None:
    assert "none.yaml: no such file" in complaint(tmp_path / "none.yaml")
    (tmp_path / "folder").mkdir()
    assert "folder: cannot be read: Is a directory" in complaint(tmp_path / "folder")
    for empty in ("", "# only a comment\n", "null\n", "---\n"):
        assert deploy(write(empty)).storage_size == "300Gi"


@pytest.mark.parametrize(
    "text",
    [
        "databases: {auth: {password: [hunter2hunter2]}}",
        "databases: {auth: {password: 7777777777}}",
        'databases: {auth: {password: "hunter2hunter2\\n"}}',
        "databases: {auth: {password: *hunter2hunter2}}",
        "databases: {auth: {password: !hunter2hunter2 x}}",
        "databases: {auth: {password: !!hunter2hunter2}}",
        "deployments: {backup: {configs: {backup-s3-secret-key: 7777777777}}}",
        "databases: {auth: {password: hunter2hunter2, password: hunter2hunter2}}",
        "databases:\n  auth:\n    password: 'hunter2hunter2\n    name: x\n",
        'databases: {auth: {password: "hunter2hunter2\\q"}}',
    ],
)
def test_a_password_is_never_in_a_message(write: Write, text: str) -> None:
    with pytest.raises(ValuesError) as caught:
        deploy(write(text))
    told = f"{caught.value!s} {caught.value!r} {caught.value.__cause__!r}"
    assert "hunter2" not in told
    assert "777" not in told


@pytest.mark.parametrize("quantity", ["1", "1.5Gi", ".5G", "12e6", "1E3", "+3Ti", "500M", "128974848000m"])
def test_quantities_of_kubernetes(write: Write, quantity: str) -> None:
    assert deploy(write(f"deployments: {{fileStorage: {{storageVolumeSize: '{quantity}'}}}}")).storage_size == quantity


@pytest.mark.parametrize("quantity", ["", "Gi", "1 Gi", "1GiB", "1KI", "-1Gi", "1e", "1.2.3", "0", "0.0Gi", "1gi"])
def test_what_is_no_quantity(write: Write, quantity: str) -> None:
    text = f"deployments: {{fileStorage: {{storageVolumeSize: '{quantity}'}}}}"
    assert "wanted a Kubernetes quantity" in complaint(write(text))


_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=12,
)
_maps = st.dictionaries(st.sampled_from("abcd"), _trees, max_size=4)


def helm_merge(earlier: object, later: object) -> object:
    """Helm's mergeMaps, told in four lines."""
    if not (isinstance(earlier, dict) and isinstance(later, dict)):
        return later
    return {key: helm_merge(earlier[key], later[key]) if key in earlier and key in later
            else later.get(key, earlier.get(key)) for key in {**earlier, **later}}  # fmt: skip


def plant(value: object) -> Node:
    place = Place("x", 1)
    if isinstance(value, dict):
        return Node({key: plant(child) for key, child in value.items()}, place)
    if isinstance(value, list):
        return Node([plant(child) for child in value], place)
    assert value is None or isinstance(value, str | int)
    return Node(value, place)


@settings(deadline=None)
@given(_maps, _maps, _maps)
def test_merging_is_helms(one: dict[str, object], two: dict[str, object], three: dict[str, object]) -> None:
    merged = merge(merge(plant(one), plant(two)), plant(three))
    assert merged.plain() == helm_merge(helm_merge(one, two), three)


@settings(deadline=None)
@given(tree=_maps)
def test_any_tree_written_as_yaml_or_json_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    for text in (yaml.safe_dump(tree), json.dumps(tree)):
        if "\x7f" in text:
            continue  # JSON may hold DEL as it is, YAML may not
        path.write_text(text)
        assert read_tree(path).plain() == tree


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(raw)
    try:
        deploy(path)
    except ValuesError as refused:
        assert str(path) in str(refused)


def test_which_keys_are_secrets() -> None:
    for path in (
        "databases.auth.password",
        "tokens.auth.privateKey",
        "a.backup-s3-access-key",
        "x.apiToken",
        "secret.a",
    ):
        assert is_secret_key(tuple(path.split("."))), path
    for path in ("ingress.tls.secretName", "a.backup-gpg-public-key", "databases.auth.name", "tokens.validity"):
        assert not is_secret_key(tuple(path.split("."))), path


def test_what_the_parser_expected_is_told_and_what_the_file_holds_is_not(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("databases:\n  auth: [1\n")
    with pytest.raises(ValuesError) as caught:
        read_values([path])
    assert caught.value.what.endswith("expected ',' or ']', but got '<stream end>'")
    path.write_text("password: *hunter22\n")
    with pytest.raises(ValuesError) as caught:
        read_values([path])
    assert "hunter22" not in str(caught.value)
