"""The jinja2 environments of the pages: what may reach a page raw is only what the templates themselves say.

Every expression of a template goes through `finalize`: in HTML it is made visible and escaped, in Markdown made visible
and its punctuation escaped, whether a template's author thought of it or not.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from rehearsal.report.model import USERS_SHOWN
from rehearsal.report.words import (
    CHECKS,
    make_visible,
    split_visible,
    word_bytes,
    word_clock,
    word_count,
    word_instant,
    word_seconds,
)

_FILTERS = {
    "seconds": word_seconds,
    "bytes": word_bytes,
    "count_up": word_count,
    "instant": word_instant,
    "clock": word_clock,
    "path_quote": lambda path: quote(path, safe="/"),
}


def _show_html(value: Any) -> Any:
    """Text with its escapes set apart, so that a real newline and a backslash with an n look different."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return Markup("").join(
        Markup('<span class="esc">{}</span>').format(piece) if hidden else escape(piece)
        for hidden, piece in split_visible(value)
    )


def _show_lines(text: str) -> Markup:
    """Text of several lines for a <pre>: line ends as they are, everything else made visible."""
    return Markup("\n").join(_show_html(line) for line in text.rstrip("\n").split("\n"))


def _show_plain(text: str) -> Markup:
    """Text for an attribute or <title>, where no tag may stand."""
    return escape(make_visible(text))


def escape_markdown(text: str) -> str:
    """`text` as literal GitHub-flavoured Markdown, for running text and table cells alike."""
    text = make_visible(text).replace("\\", "\\\\")
    text = re.sub(r"([`*\[\]|~])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"^(\s*)([#+=-]|\d+[.)](?=\s))", r"\1\\\2", text)


def _span(text: str) -> str:
    """A code span whose fence is longer than any run of backticks inside."""
    shown = make_visible(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _span_in_cell(text: str) -> Markup:
    """A code span for a table cell, where a pipe needs a backslash even inside one."""
    return Markup(_span(text).replace("|", "\\|"))  # noqa: S704 - Markdown, not HTML: marks what is already escaped


def _span_in_text(text: str) -> Markup:
    return Markup(_span(text))  # noqa: S704 - as above


def _link_target(path: str) -> Markup:
    """A relative link's target: nothing in it can end the link."""
    return Markup(quote(path, safe="/"))  # noqa: S704 - as above


def _fence_block(text: str) -> Markup:
    """A fenced code block of several lines, each made visible."""
    shown = "\n".join(make_visible(line) for line in text.rstrip("\n").split("\n"))
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", shown))])
    return Markup(f"{fence}\n{shown}\n{fence}")  # noqa: S704 - as above


def _show_markdown(value: Any) -> Any:
    return escape_markdown(value) if type(value) is str else value


@cache
def html_pages() -> Environment:
    """Environment of the HTML templates."""
    environment = Environment(
        loader=PackageLoader("rehearsal.report"),
        autoescape=True,
        finalize=_show_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= _FILTERS | {"lines": _show_lines, "plain": _show_plain}
    environment.globals |= {"CHECKS": CHECKS, "USERS_SHOWN": USERS_SHOWN}
    return environment


@cache
def markdown_pages() -> Environment:
    """Environment of the Markdown templates; no autoescape, which is HTML's: `finalize` escapes as Markdown wants."""
    environment = Environment(  # noqa: S701 - as said
        loader=PackageLoader("rehearsal.report"),
        finalize=_show_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= _FILTERS | {
        "code": _span_in_text,
        "cell": _span_in_cell,
        "block": _fence_block,
        "link": _link_target,
    }
    environment.globals |= {"CHECKS": CHECKS, "USERS_SHOWN": USERS_SHOWN}
    return environment
