"""The part of a Chipster deployment that a rehearsal reads, as one typed value.

Names follow the chart's own objects, so that what is rehearsed is what the admin's manual names: a StatefulSet, its
pod, its claim. `values.py` makes a `Deployment` from the admin's values.yaml; everything else only reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

DatabaseKey = Literal["sessionDb", "auth", "jobHistory"]
"""Key under `databases` in values.yaml."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSpec(_Frozen):
    """One PostgreSQL of the data tier.

    Attributes:
        key: its key in values.yaml.
        name: `databases.<key>.name`, such as `session-db`; also the store's name in every report.
        db_name: `databases.<key>.dbName`, such as `session_db_db`.
        password: superuser `postgres`; never leaves this value except into a Secret, an environment or a pgpass file.
        host_path: when set, the data lies in that directory of the node and no claim protects it.
    """

    kind: Literal["database"] = "database"
    key: DatabaseKey
    name: str
    db_name: str
    password: SecretStr
    host_path: str = ""

    @property
    def role(self) -> str:
        """What a scenario calls it, whatever the admin named it."""
        return _ROLES[self.key]

    @property
    def workload(self) -> str:
        """Name of the StatefulSet, the Service and the Secret."""
        return f"chipster-{self.name}-postgresql"

    @property
    def pod(self) -> str:
        return f"{self.workload}-0"

    @property
    def container(self) -> str:
        return "postgresql"

    @property
    def claim(self) -> str:
        return f"data-{self.pod}"


class FilesSpec(_Frozen):
    """One file-storage replica: its pod, its claim.

    Attributes:
        replica: 0, 1, …; each has a claim of its own.
        host_path: `storageHostPath`; when set there is no claim.
    """

    kind: Literal["files"] = "files"
    replica: int = 0
    host_path: str = ""

    @property
    def role(self) -> str:
        """What a scenario calls it: every replica plays the same role."""
        return "file-storage"

    @property
    def name(self) -> str:
        return f"file-storage-{self.replica}"

    @property
    def workload(self) -> str:
        return "file-storage"

    @property
    def pod(self) -> str:
        return self.name

    @property
    def container(self) -> str:
        return "file-storage"

    @property
    def claim(self) -> str:
        return f"storage-{self.pod}"


_ROLES: Mapping[DatabaseKey, str] = {"sessionDb": "session-db", "auth": "auth", "jobHistory": "job-history"}

StoreSpec = DatabaseSpec | FilesSpec
"""A component that holds state: one database or one file-storage replica."""


class Deployment(_Frozen):
    """What values.yaml says about the data tier, defaults filled in.

    Attributes:
        databases: the enabled ones, in the order session-db, auth, job-history.
        disabled: names of the databases that `enabled: false` takes out of the rehearsal.
        file_replicas: number of file-storage pods.
        storage_size: size of each file-storage claim, a Kubernetes quantity.
        storage_class: "" for the cluster's default.
        postgres_image, file_image: full image references.
        pod_security_context, security_context: of file-storage, as in values.yaml.
        sources: the files it was read from, for the report.
        generated_passwords: names of the databases whose password we made up for the throwaway system.
        other_secrets: every other secret string of the files (S3 keys, gpg passphrases, users' passwords, tokens): the
            redactor learns them all, nothing else reads them.
    """

    databases: tuple[DatabaseSpec, ...]
    disabled: tuple[str, ...] = ()
    file_replicas: int = Field(default=1, ge=1)
    storage_size: str = "300Gi"
    storage_class: str = ""
    storage_host_path: str = ""
    postgres_image: str = "postgresql-14"
    file_image: str = "backup"
    image_pull_policy: str = "IfNotPresent"
    pod_security_context: Mapping[str, Any] = Field(default_factory=dict)
    security_context: Mapping[str, Any] = Field(default_factory=dict)
    sources: tuple[str, ...] = ()
    generated_passwords: tuple[str, ...] = ()
    other_secrets: tuple[SecretStr, ...] = ()

    @property
    def files(self) -> tuple[FilesSpec, ...]:
        return tuple(FilesSpec(replica=n, host_path=self.storage_host_path) for n in range(self.file_replicas))

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """Every store of the data tier: the databases, then the file-storage replicas."""
        return (*self.databases, *self.files)

    def store(self, name: str) -> StoreSpec | None:
        """The store of that name (`session-db`, `file-storage-0`), or None where this deployment has none."""
        return next((spec for spec in self.stores if spec.name == name), None)

    def playing(self, roles: Collection[str]) -> tuple[StoreSpec, ...]:
        """The stores that play one of these roles (`session-db`, `file-storage`, or `*` for all), in their order."""
        return tuple(spec for spec in self.stores if "*" in roles or spec.role in roles)

    def choose_pull_policy(self, stand_in: str) -> str:
        """That of values.yaml for its own images; not for one that stands in ("" for none).

        It lies on the node already, and no registry need have it: `Always` would ask one all the same.
        """
        return "IfNotPresent" if stand_in else self.image_pull_policy

    def secrets(self) -> tuple[str, ...]:
        """Every secret string of this deployment, for the redactor."""
        every = (*(database.password for database in self.databases), *self.other_secrets)
        return tuple(dict.fromkeys(secret.get_secret_value() for secret in every))
