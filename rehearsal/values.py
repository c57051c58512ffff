"""The admin's own values.yaml made into one typed `Deployment`, as Helm would read it.

Several files are merged key by key over the chart's defaults, the later one winning, null deleting a default. Keys
that a rehearsal does not read are fine. Whatever the data tier cannot be built from is one `ValuesError` with file,
line, key path, what was found and what is wanted; a password's value is never part of it.
Passwords that no file gives are made up: a rehearsal needs none of the real ones.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import SecretStr

from rehearsal.deployment import DatabaseKey, DatabaseSpec, Deployment
from rehearsal.values_file import Node, Place, merge, read_tree
from rehearsal.values_reader import ValuesReader, plant
from rehearsal.values_secrets import find_secrets, redact_tree

KEYS: tuple[DatabaseKey, ...] = ("sessionDb", "auth", "jobHistory")
_DEFAULTS: Mapping[str, Any] = {
    "databases": {
        "sessionDb": {"name": "session-db", "dbName": "session_db_db", "enabled": True},
        "auth": {"name": "auth", "dbName": "auth_db", "enabled": True},
        "jobHistory": {"name": "job-history", "dbName": "job_history_db", "enabled": True},
    },
    "deployments": {"fileStorage": {"storageVolumeSize": "300Gi"}},
    "deploymentDefault": {"replicas": 1},
    "image": {"chipsterImageRepo": "", "tag": "latest", "localPullPolicy": "IfNotPresent"},
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000},
    "podSecurityContext": {},
}
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MOST_REPLICAS = 64  # each is a pod and a claim on one throwaway node
_LONGEST_NAME = 32  # `chipster-NAME-postgresql` must fit a StatefulSet's 52 characters
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_QUANTITY = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?")
"""https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/, without a minus."""


@dataclass(frozen=True)
class Values:
    """The merged files.

    Attributes:
        tree: what the files say together, each key with its place; no defaults, nulls kept.
        sources: the files as given, in order.
    """

    tree: Node
    sources: tuple[str, ...]


def read_values(paths: Sequence[Path]) -> Values:
    """Read and merge values files (YAML or JSON, or the Secret `passwords` as Kubernetes prints it).

    Raises:
        ValuesError: a file is missing, malformed or no mapping.
    """
    tree = Node({}, Place("", 0))
    for path in paths:
        tree = merge(tree, read_tree(path))
    return Values(tree, tuple(str(path) for path in paths))


def redact_values(values: Values) -> str:
    """The merged values as YAML, every secret replaced by `[removed by the rehearsal]`, for the backup set."""
    text: str = yaml.safe_dump(
        redact_tree(values.tree), sort_keys=False, allow_unicode=True, default_flow_style=False, width=10**9
    )
    return text


def make_deployment(values: Values) -> Deployment:
    """The data tier that the values describe, the chart's defaults filled in, missing passwords made up.

    Raises:
        ValuesError: a value has the wrong type or form, or two contradict each other.
    """
    reader = ValuesReader(merge(plant(_DEFAULTS), values.tree))
    _check_configs(reader)
    databases, disabled, generated = _read_databases(reader)
    storage = ("deployments", "fileStorage")
    host_path = _read_host_path(reader, *storage, "storageHostPath")
    replicas = _read_replicas(reader)
    if host_path and replicas > 1:
        reader.fail(
            (*storage, "storageHostPath"),
            f"one directory for {replicas} file-storage replicas; each needs storage of its own",
            hint="remove storageHostPath, or set replicas to 1",
        )
    _check_distinct(reader, databases, host_path)
    repository = reader.text("image", "chipsterImageRepo")
    tag = reader.text("image", "tag", number=True)
    known = {database.password.get_secret_value() for database in databases}
    return Deployment(
        databases=databases,
        disabled=disabled,
        file_replicas=replicas,
        storage_size=_read_quantity(reader, *storage, "storageVolumeSize"),
        storage_class=_read_label(reader, *storage, "storageClassName"),
        storage_host_path=host_path,
        postgres_image=_make_image(reader, repository, "postgresql-14", tag),
        file_image=_make_image(reader, repository, "backup", tag),
        image_pull_policy=_read_pull_policy(reader),
        pod_security_context=reader.mapping("podSecurityContext"),
        security_context=reader.mapping("securityContext"),
        sources=values.sources,
        generated_passwords=generated,
        other_secrets=tuple(SecretStr(secret) for secret in find_secrets(values.tree) if secret not in known),
    )


def _read_databases(reader: ValuesReader) -> tuple[tuple[DatabaseSpec, ...], tuple[str, ...], tuple[str, ...]]:
    """The enabled databases, the names of the disabled ones, the names of those that got a made-up password."""
    enabled: list[DatabaseSpec] = []
    disabled: list[str] = []
    generated: list[str] = []
    for key in KEYS:
        at = ("databases", key)
        if reader.find(*at) is None:
            reader.wrong(at, None, "a mapping", hint=f"to leave it out, write databases.{key}.enabled: false")
        name = reader.matching(
            *at,
            "name",
            pattern=_LABEL,
            longest=_LONGEST_NAME,
            wanted=f"a DNS label: a-z, 0-9 and -, at most {_LONGEST_NAME} characters",
        )
        if not _read_switch(reader, *at, "enabled"):
            disabled.append(name)
            continue
        password = _read_password(reader, *at, "password")
        if not password:
            generated.append(name)
        enabled.append(
            DatabaseSpec(
                key=key,
                name=name,
                db_name=reader.matching(
                    *at,
                    "dbName",
                    pattern=_IDENTIFIER,
                    wanted="letters, digits, _, - and $, first a letter or _: it stands in the manual's commands",
                ),
                password=SecretStr(password or secrets.token_urlsafe(24)),
                host_path=_read_host_path(reader, *at, "hostPath"),
            )
        )
    return tuple(enabled), tuple(disabled), tuple(generated)


def _read_switch(reader: ValuesReader, *path: str) -> bool:
    node = reader.find(*path)
    if node is None or not isinstance(node.value, bool):
        reader.wrong(path, node.value if node else None, "true or false, without quotes")
    return node.value


def _read_password(reader: ValuesReader, *path: str) -> str:
    password = reader.text(*path)
    if re.search(r"[\x00-\x1f\x7f]", password):
        reader.fail(path, "found text with a line break or a control character; wanted one line of text")
    return password


def _read_host_path(reader: ValuesReader, *path: str) -> str:
    text = reader.text(*path)
    parts = PurePosixPath(text).parts
    if text and (not text.startswith("/") or ".." in parts or len(parts) < 2 or "\0" in text):
        reader.wrong(path, text, "an absolute directory of the node such as '/mnt/data/auth', without `..`, and not /")
    return text


def _read_replicas(reader: ValuesReader) -> int:
    path: tuple[str, ...] = ("deployments", "fileStorage", "replicas")
    node = reader.find(*path)
    if node is None or node.value == "":
        path = ("deploymentDefault", "replicas")
        node = reader.find(*path)
    found = node.value if node else None
    count = int(found) if isinstance(found, str) and re.fullmatch(r"[0-9]{1,4}", found) else found
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_REPLICAS:
        reader.wrong(path, found, f"a whole number from 1 to {_MOST_REPLICAS}")
    return count


def _read_quantity(reader: ValuesReader, *path: str) -> str:
    text = reader.text(*path, required=True, number=True)
    match = _QUANTITY.fullmatch(text)
    if not match or Decimal(match[1]) == 0:
        reader.wrong(path, text, "a Kubernetes quantity above zero, such as '300Gi' or '500M'")
    return text


def _read_label(reader: ValuesReader, *path: str) -> str:
    text = reader.text(*path)
    if text and not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", text):
        reader.wrong(path, text, "the name of a StorageClass: a-z, 0-9, - and .")
    return text


def _read_pull_policy(reader: ValuesReader) -> str:
    policy = reader.text("image", "localPullPolicy", required=True)
    if policy not in _PULL_POLICIES:
        reader.wrong(("image", "localPullPolicy"), policy, f"one of {', '.join(_PULL_POLICIES)}")
    return policy


def _make_image(reader: ValuesReader, repository: str, name: str, tag: str) -> str:
    if repository and not _IMAGE.fullmatch(repository):
        reader.wrong(("image", "chipsterImageRepo"), repository, "a registry path that ends in /")
    if not re.fullmatch(r"\w[\w.-]{0,127}", tag, re.ASCII):
        reader.wrong(("image", "tag"), tag, "an image tag: letters, digits, _, . and -")
    return f"{repository}{name}:{tag}"


def _check_configs(reader: ValuesReader) -> None:
    """The chart takes text alone in `configs`: 24 or true stop it with "expected string"."""
    services = reader.find("deployments")
    if services is None:
        return
    if not isinstance(services.value, dict):
        reader.wrong(("deployments",), services.value, "a mapping")
    for service in services.value:
        configs = reader.find("deployments", service, "configs")
        if configs is None:
            continue
        if not isinstance(configs.value, dict):
            reader.wrong(("deployments", service, "configs"), configs.value, "a mapping")
        for key in configs.value:
            reader.text("deployments", service, "configs", key)


def _check_distinct(reader: ValuesReader, databases: tuple[DatabaseSpec, ...], storage_host_path: str) -> None:
    """No two stores may share a name or a directory."""

    def check(field: str, value_of: Callable[[DatabaseSpec], str], taken: dict[str, str], hint: str) -> None:
        for database in databases:
            value, path = value_of(database), ("databases", database.key, field)
            if value in taken:
                reader.fail(path, f"found {value!r}, which is also {taken[value]}; wanted another one", hint=hint)
            if value:
                taken[value] = ".".join(path)

    for database in databases:
        if re.fullmatch(r"file-storage(-[0-9]+)?", database.name):
            reader.wrong(("databases", database.key, "name"), database.name, "a name that file-storage does not have")
    check("name", lambda spec: spec.name, {}, "each database is a StatefulSet of its own and needs a name of its own")
    shared = (
        {str(PurePosixPath(storage_host_path)): "deployments.fileStorage.storageHostPath"} if storage_host_path else {}
    )
    check(
        "hostPath",
        lambda spec: str(PurePosixPath(spec.host_path)) if spec.host_path else "",
        shared,
        "each store needs a directory of its own",
    )
