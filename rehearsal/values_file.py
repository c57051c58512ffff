"""One values file read into a tree that knows the file and the line of every key.

Helm reads YAML or JSON; so do we, and also the Secret manifest that `kubectl get secret passwords -o yaml` prints,
whose key `values.yaml` holds the generated passwords. PyYAML composes nodes with their marks; values are made from the
nodes here, so that a key given twice, an alias bomb and a bad scalar are each one error with a line.
No message of this module repeats text of the file that could be a password.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from rehearsal.errors import ValuesError

MAX_BYTES = 5_000_000
_MAX_VALUES = 200_000
_MAX_DEPTH = 100
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_UNKNOWN_TAG = "found a YAML tag that Helm does not know; wanted plain YAML"
_MERGE = "tag:yaml.org,2002:merge"
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_OWN_TOKEN = re.compile(r"'(\W|<[a-z ]+>)'")
"""What PyYAML quotes of its own: `','`, `'<stream end>'`; anything else may come from the file."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Place:
    """Where a key stands: `file` as given (or "" for a default), `line` from 1."""

    file: str
    line: int

    def at(self, path: str = "") -> str:
        """`values.yaml:12` or `values.yaml:12: databases.auth`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, path) if part)


@dataclass(frozen=True)
class Node:
    """A value and its place: a scalar, a list of nodes, or a mapping of nodes."""

    value: Scalar | list[Node] | dict[str, Node]
    place: Place

    def plain(self) -> object:
        """The value without places, as `yaml.safe_load` would give it."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


class _Loader(yaml.SafeLoader):
    """YAML as Helm reads it: dates and `12:30` are text there, not dates and sexagesimal numbers."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)


def read_tree(path: Path) -> Node:
    """The values of one file; an empty file is an empty mapping.

    Raises:
        ValuesError: the file cannot be read, is no UTF-8, no YAML, too large, or no mapping at its top.
    """
    tree = _parse(_read_text(path), str(path), 0)
    if isinstance(tree.value, dict) and (kind := tree.value.get("kind")) and kind.value == "Secret":
        return _open_secret(tree, str(path))
    return tree


def merge(earlier: Node, later: Node) -> Node:
    """Both, key by key, the later one winning, as Helm merges its `-f` files; a null stays, it deletes a default."""
    if not (isinstance(earlier.value, dict) and isinstance(later.value, dict)):
        return later
    merged = dict(earlier.value)
    for key, child in later.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, later.place)


def describe(value: object) -> str:
    """What a value is, in words, without the value."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text" if value else "empty text"
        case dict():
            return "a mapping"
    return "a list"


def _read_text(path: Path) -> str:
    where = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ValuesError("no such file", where=where, hint=f"look with: ls -l {path.parent}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValuesError(f"cannot be read: {reason}", where=where, hint="give a values.yaml file") from None
    if len(raw) > MAX_BYTES:
        raise ValuesError(f"larger than {MAX_BYTES:,} bytes, this is no values.yaml", where=where)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValuesError(
            f"found byte 0x{raw[error.start]:02x}, which is not UTF-8; wanted UTF-8 text",
            where=f"{where}:{line}",
            hint=f"convert it, for example: iconv -f latin1 -t utf-8 {path}",
        ) from None


def _parse(text: str, file: str, first_line: int) -> Node:
    """YAML text to a tree whose top is a mapping; `first_line` is where the text starts in `file`, less one."""
    loader: _Loader | None = None
    try:
        with _in_words(text, file, first_line):
            loader = _Loader(text)
            top = loader.get_single_node()
            tree = _Builder(loader, file, first_line).build(top, 0) if top is not None else None
    finally:
        if loader is not None:
            loader.dispose()
    place = Place(file, first_line + 1)
    if tree is None or tree.value is None:
        return Node({}, place)
    if not isinstance(tree.value, dict):
        raise ValuesError(
            f"found {describe(tree.value)} at the top; wanted a mapping such as `databases: …`", where=place.at()
        )
    return tree


def _hide_content(quoted: re.Match[str]) -> str:
    return quoted.group() if _OWN_TOKEN.fullmatch(quoted.group()) else "(not shown)"


@contextmanager
def _in_words(text: str, file: str, first_line: int) -> Iterator[None]:
    """Turn PyYAML's errors into ours; its own text quotes the file, which may hold passwords."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise ValuesError(
            f"not valid YAML: {_QUOTED.sub(_hide_content, said)}",
            where=Place(file, first_line + (mark.line if mark else 0) + 1).at(),
            hint="look at that line and the one above it: indentation, a missing quote or colon",
        ) from None
    except yaml.reader.ReaderError as error:
        line = first_line + text.count("\n", 0, error.position) + 1
        raise ValuesError(
            f"not valid YAML: found the control character U+{int(error.character):04X}",
            where=Place(file, line).at(),
            hint="remove that character",
        ) from None
    except RecursionError:
        raise ValuesError(f"nested deeper than {_MAX_DEPTH} levels, this is no values.yaml", where=file) from None


class _Builder:
    """Makes our nodes from PyYAML's; counts them, since a few aliases can stand for billions."""

    def __init__(self, loader: _Loader, file: str, first_line: int) -> None:
        self._loader = loader
        self._file = file
        self._first_line = first_line
        self._count = 0

    def build(self, node: yaml.Node, depth: int, place: Place | None = None) -> Node:
        place = place or self._place(node)
        self._count += 1
        if self._count > _MAX_VALUES:
            raise ValuesError(
                f"more than {_MAX_VALUES:,} values once its aliases are followed, this is no values.yaml",
                where=place.at(),
            )
        if depth > _MAX_DEPTH:
            raise ValuesError(f"nested deeper than {_MAX_DEPTH} levels, this is no values.yaml", where=place.at())
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            raise ValuesError(_UNKNOWN_TAG, where=place.at())
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, depth), place)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.build(child, depth + 1) for child in node.value], place)
        return Node(self._scalar(node, place), place)

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, self._first_line + node.start_mark.line + 1)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        inherited: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if key_node.tag == _MERGE:
                inherited = {**self._inherit(value_node, depth), **inherited}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise ValuesError("found a list or a mapping as a key; wanted a plain name", where=place.at())
            key = key_node.value
            if key in own:
                raise ValuesError(
                    f"found the key `{key}` twice in one mapping, first in line {own[key].place.line}; wanted it once",
                    where=place.at(),
                    hint="merge the two, YAML would silently drop the first",
                )
            own[key] = self.build(value_node, depth + 1, place)
        return {**inherited, **own}

    def _inherit(self, node: yaml.Node, depth: int) -> dict[str, Node]:
        """What `<<: *other` brings in; of several the first wins."""
        built = self.build(node, depth + 1)
        found: dict[str, Node] = {}
        for parent in built.value if isinstance(built.value, list) else [built]:
            if not isinstance(parent.value, dict):
                raise ValuesError(
                    f"found {describe(parent.value)} after `<<`; wanted a mapping", where=built.place.at()
                )
            found = {**parent.value, **found}
        return found

    def _scalar(self, node: yaml.Node, place: Place) -> Scalar:
        try:
            value = self._loader.construct_object(node)
        except ValueError:
            raise ValuesError("found a number that is no number; wanted text in quotes", where=place.at()) from None
        if isinstance(value, str):
            return _join_surrogates(value, place)
        if value is None or isinstance(value, bool | int | float):
            return value
        raise ValuesError(_UNKNOWN_TAG, where=place.at())


def _join_surrogates(text: str, place: Place) -> str:
    """JSON writes characters beyond the BMP as two escapes, which PyYAML leaves apart."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValuesError("found half of an escaped character; wanted UTF-8 text", where=place.at()) from None


def _open_secret(secret: Node, file: str) -> Node:
    """The values inside a Secret manifest: `stringData` as text, else `data` in base64."""
    parts = secret.value if isinstance(secret.value, dict) else {}
    for name in ("stringData", "data"):
        holder = parts.get(name)
        entry = holder.value.get("values.yaml") if holder and isinstance(holder.value, dict) else None
        if entry is None:
            continue
        where = f"{name}.values.yaml"
        if not isinstance(entry.value, str):
            raise ValuesError(f"found {describe(entry.value)}; wanted text", where=entry.place.at(where))
        text = entry.value if name == "stringData" else _decode(entry.value, entry.place.at(where))
        return _parse(text, f"{file}, {where}", 0)
    raise ValuesError(
        "found a Secret without a key `values.yaml`; wanted the Secret `passwords` of generate-passwords.bash",
        where=file,
        hint="print it with: kubectl get secret passwords -o yaml",
    )


def _decode(encoded: str, where: str) -> str:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True).decode("utf-8-sig")
    except (binascii.Error, ValueError):
        raise ValuesError(
            "found text that is not base64 of UTF-8; wanted the Secret as Kubernetes prints it",
            where=where,
            hint="print it again with: kubectl get secret passwords -o yaml",
        ) from None
