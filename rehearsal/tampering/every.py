"""Importing this module fills the registry with every operator there is."""

from __future__ import annotations

from rehearsal.tampering import (  # noqa: F401 - each fills the registry
    benign_databases,
    benign_files,
    benign_servers,
    builtin_keys,
    builtin_packages,
    builtin_restores,
    losses_in_part,
    restore_streams,
    restore_surroundings,
    restored_files,
    restored_objects,
    restored_row_sets,
    restored_rows,
    restored_schema,
    restores,
    set_dump_cuts,
    set_dump_options,
    set_dump_texts,
    set_files,
    set_swaps,
)
from rehearsal.tampering.operators import REGISTRY, Operator

OPERATORS: tuple[Operator, ...] = tuple(found for found in REGISTRY.values() if not found.benign)
BENIGN: tuple[Operator, ...] = tuple(found for found in REGISTRY.values() if found.benign)
