"""Which values of a values.yaml are secrets: found by the names of their keys, and by what they look like.

Two readers: the redactor, which must know every secret string before the first line is written, and the copy of
values.yaml in the backup set, which must hold none of them. Too many is the safer mistake, except for words such as a
Secret's name, which would blot out the journal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rehearsal.values_file import Node

REMOVED = "[removed by the rehearsal]"
_SECRET = re.compile(r"password|passwd|passphrase|secret|token|credential|key$|keys$")
_NO_SECRET = re.compile(r"public|name$|path$|file$|size$|enabled$|ref$|url$|endpoint$|lifetime$|validity$|count$")
_PRIVATE_BLOCK = re.compile(r"PRIVATE KEY")
_USERINFO = re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]+(?=@)")
_LONG_LINE = 16
_LONG_WORD = 8


def is_secret_key(path: tuple[str, ...]) -> bool:
    """Whether the value at this key path is a secret: by its own name, or that of a key above it."""
    names = [re.sub(r"[^a-z0-9]", "", part.lower()) for part in path]
    return bool(names) and not _NO_SECRET.search(names[-1]) and any(_hides(name) for name in names)


def find_secrets(tree: Node) -> tuple[str, ...]:
    """Every secret string in the tree; of one with several lines, its long lines too."""
    found: dict[str, None] = {}
    for path, text in _leaves(tree, ()):
        if is_secret_key(path) or _PRIVATE_BLOCK.search(text):
            found |= dict.fromkeys([text, *(line for line in text.splitlines() if len(line) >= _LONG_LINE)])
        for userinfo in _USERINFO.findall(text):
            found[userinfo.partition(":")[2]] = None
    return tuple(secret for secret in found if secret)


def redact_tree(tree: Node) -> object:
    """The plain values, every secret replaced by `[removed by the rehearsal]`, wherever else it is repeated too."""
    secrets = sorted((secret for secret in find_secrets(tree) if len(secret) >= _LONG_WORD), key=len, reverse=True)

    def redact(path: tuple[str, ...], text: str) -> str:
        if text and (is_secret_key(path) or _PRIVATE_BLOCK.search(text)):
            return REMOVED
        text = _USERINFO.sub(REMOVED, text)
        for secret in secrets:
            text = text.replace(secret, REMOVED)
        return text

    return _rebuild(tree, (), redact)


def _hides(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _NO_SECRET.search(name)


def _children(node: Node) -> Iterator[tuple[str, str, Node]]:
    """Key, the name to judge it by, and child: `{name: S3_SECRET_KEY, value: …}` hides its value by the name."""
    if isinstance(node.value, dict):
        named = node.value.get("name")
        for key, child in node.value.items():
            judged = str(named.value) if key == "value" and named and isinstance(named.value, str) else key
            yield key, judged, child


def _leaves(node: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node.value, list):
        for child in node.value:
            yield from _leaves(child, path)
    elif isinstance(node.value, dict):
        for _, judged, child in _children(node):
            yield from _leaves(child, (*path, judged))
    elif node.value is not None and not isinstance(node.value, bool):
        yield path, str(node.value)


def _rebuild(node: Node, path: tuple[str, ...], redact: Callable[[tuple[str, ...], str], str]) -> object:
    if isinstance(node.value, list):
        return [_rebuild(child, path, redact) for child in node.value]
    if isinstance(node.value, dict):
        return {key: _rebuild(child, (*path, judged), redact) for key, judged, child in _children(node)}
    if node.value is None or isinstance(node.value, bool):
        return node.value
    text = redact(path, str(node.value))
    return node.value if text == str(node.value) else text
