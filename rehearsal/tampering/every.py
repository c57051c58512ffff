"""Importing this module fills the registry with every operator there is."""

from __future__ import annotations

from rehearsal.tampering.operators import REGISTRY, Operator

OPERATORS: tuple[Operator, ...] = tuple(found for found in REGISTRY.values() if not found.benign)
BENIGN: tuple[Operator, ...] = tuple(found for found in REGISTRY.values() if found.benign)
