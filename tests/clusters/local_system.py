"""What the tests of the local cluster share: deployments, names, and how to speak to a pod."""

from pydantic import SecretStr

from rehearsal.clusters.postgres_binaries import list_binaries
from rehearsal.deployment import DatabaseSpec, Deployment

PASSWORD = "pä$$ 'w\"ord"
SESSION = "chipster-session-db-postgresql-0"
SESSION_SET = "chipster-session-db-postgresql"
SESSION_CLAIM = f"data-{SESSION}"
FILES_CLAIM = "storage-file-storage-0"
BINARIES = list_binaries()


def database(key="sessionDb", name="session-db", db_name="session_db_db", password=PASSWORD, **fields):
    return DatabaseSpec(key=key, name=name, db_name=db_name, password=SecretStr(password), **fields)


ONE = Deployment(databases=(database(),))
THREE = Deployment(
    databases=(
        database(),
        database("auth", "auth", "auth_db", "another password"),
        database("jobHistory", "job-history", "job_history_db", "third password"),
    ),
    file_replicas=2,
)
FILES_ONLY = Deployment(databases=())


def psql(cluster, statement, pod=SESSION, db_name="session_db_db"):
    command = f'PGPASSWORD=$POSTGRES_PASSWORD psql -XAtq -v ON_ERROR_STOP=1 -U postgres "{db_name}"'
    result = cluster.exec(pod, ["bash", "-c", command], stdin=statement.encode())
    assert result.status == 0, result.stderr
    return result.stdout.decode().strip()


def run(cluster, script, pod="file-storage-0", **options):
    return cluster.exec(pod, ["bash", "-c", script], **options)


def server_pid(cluster, pod=SESSION):
    return int(_read_pid_file(cluster, pod)[0])


def server_port(cluster, pod=SESSION):
    return int(_read_pid_file(cluster, pod)[3])


def _read_pid_file(cluster, pod):
    data = cluster.root / "pods" / pod / "var/lib/postgresql/data_14"
    return (data / "postmaster.pid").read_text().splitlines()
