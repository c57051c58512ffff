"""Local clusters for tests, made and closed."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from local_system import BINARIES

from rehearsal.clusters.local import LocalCluster
from rehearsal.journal import Journal
from rehearsal.shell import Shell


@pytest.fixture(scope="session")
def template_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("templates")


@pytest.fixture
def place():
    """A folder that the pods' users can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make(tmp_path, place, template_cache):
    """Makes clusters, and closes them."""
    made = []

    def build(binaries=BINARIES[0], cache=template_cache, root=None, nonce="nonce-1"):
        journal = Journal(tmp_path / "journal.jsonl")
        cluster = LocalCluster(root or place / f"cluster{len(made)}", Shell(journal), journal, nonce, binaries, cache)
        made.append(cluster)
        return cluster

    yield build
    for cluster in made:
        marker = cluster.root / "marker.json"
        if cluster.root.exists():
            marker.write_text(json.dumps({"run": "nonce-1"}))
        cluster.close()
