"""Values looked up by key path in a merged tree, and what is said when one is not what is wanted.

Every complaint is one `ValuesError` with the file and line of the key (or of the last key above it that a file gave),
the key path, what was found and what is wanted. What stands under a secret's key is told by its kind alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from rehearsal.errors import ValuesError
from rehearsal.values_file import Node, Place, describe
from rehearsal.values_secrets import is_secret_key

_LONGEST_SHOWN = 80


def plant(value: Any) -> Node:
    """A default as a tree, from nowhere."""
    if isinstance(value, Mapping):
        return Node({key: plant(child) for key, child in value.items()}, Place("", 0))
    return Node(value, Place("", 0))


class ValuesReader:
    """Looks values up by key path and says what is wrong with them."""

    def __init__(self, tree: Node) -> None:
        self._tree = tree

    def find(self, *path: str) -> Node | None:
        """The node at the path; None where it is absent or null. A scalar on the way is an error."""
        node = self._tree
        for depth, key in enumerate(path):
            if node.value is None:
                return None
            if not isinstance(node.value, dict):
                self.wrong(path[:depth], node.value, "a mapping")
            if key not in node.value:
                return None
            node = node.value[key]
        return None if node.value is None else node

    def text(self, *path: str, required: bool = False, number: bool = False) -> str:
        """A string, "" where absent; `number`: a number will do, as a template would print it."""
        node = self.find(*path)
        if node is None:
            return self.wrong(path, None, "text") if required else ""
        if number and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return str(node.value)
        if not isinstance(node.value, str):
            self.wrong(path, node.value, "text in quotes")
        return node.value

    def matching(self, *path: str, pattern: re.Pattern[str], wanted: str, longest: int = 63) -> str:
        text = self.text(*path, required=True)
        if not pattern.fullmatch(text) or len(text) > longest:
            self.wrong(path, text, wanted)
        return text

    def mapping(self, *path: str) -> dict[str, Any]:
        """A mapping of plain values, nulls left out; {} where absent."""
        node = self.find(*path)
        if node is None:
            return {}
        plain = node.plain()
        if not isinstance(plain, dict):
            self.wrong(path, plain, "a mapping")
        return {key: value for key, value in plain.items() if value is not None}

    def wrong(self, path: tuple[str, ...], found: object, wanted: str, *, hint: str = "") -> NoReturn:
        """Raise: what was found (a secret's type only) and what is wanted."""
        shown = describe(found)
        if isinstance(found, str | int | float) and found != "" and not is_secret_key(path):
            written = str(found).lower() if isinstance(found, bool) else repr(found)
            written = written if len(written) <= _LONGEST_SHOWN else f"{written[:_LONGEST_SHOWN]}…"
            shown = written if isinstance(found, bool) else f"{shown} {written}"
        self.fail(path, f"found {shown}; wanted {wanted}", hint=hint)

    def fail(self, path: tuple[str, ...], what: str, *, hint: str = "") -> NoReturn:
        raise ValuesError(what, where=self._nearest(path).at(".".join(path)), hint=hint)

    def _nearest(self, path: tuple[str, ...]) -> Place:
        """The place of the key, or of the last key above it that a file gave."""
        node, place = self._tree, self._tree.place
        for key in path:
            if not isinstance(node.value, dict) or key not in node.value:
                break
            node = node.value[key]
            place = node.place if node.place.file else place
        return place
