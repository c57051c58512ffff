"""The option --show-values: off unless given, and part of the command that repeats a rehearsal."""

from __future__ import annotations

import argparse

import pytest

from rehearsal.options import declare_options, read_options


@pytest.mark.parametrize("given", [True, False])
def test_it_is_read_and_repeated(given: bool) -> None:
    parser = argparse.ArgumentParser()
    declare_options(parser.add_argument)
    options = read_options(parser.parse_args(["--show-values"] if given else []))
    assert options.show_values is given
    assert ("--show-values" in options.repeat("lose-auth", "local").split()) is given
