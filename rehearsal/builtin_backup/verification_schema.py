"""The published JSON Schema of `verify-backup --json`: `python -m rehearsal.builtin_backup.verification_schema > FILE`.

Readers must let unknown fields pass (a later release may add some under the same schema name), so the schema does not
forbid them, though our own model does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from rehearsal.builtin_backup.verification import SCHEMA, Verification


def render_schema() -> str:
    """JSON Schema 2020-12, as it lies in docs/verification.schema.json."""
    schema = _allow_more(Verification.model_json_schema(by_alias=True, mode="serialization"))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return json.dumps(head | {k: v for k, v in schema.items() if k != "title"}, indent=1, ensure_ascii=False) + "\n"


def _allow_more(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _allow_more(v) for k, v in node.items() if (k, v) != ("additionalProperties", False)}
    if isinstance(node, list):
        return [_allow_more(item) for item in node]
    return node


if __name__ == "__main__":
    sys.stdout.write(render_schema())
