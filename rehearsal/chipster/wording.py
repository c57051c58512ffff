"""Words for the seed: names, notes and logs that read like a server's, with a hard value now and then.

The first entities of every kind take the hard values one after another, so that size s meets each of them; later ones
take one in sixteen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from rehearsal.chipster.draws import Draws
from rehearsal.chipster.hard_values import LARGE_OBJECTS, TEXTS

T = TypeVar("T")

WORDS = (
    *("align", "annotate", "assembly", "barcode", "batch", "cells", "chip", "cluster", "control", "counts", "coverage"),
    *("duplicates", "expression", "fastq", "filter", "genes", "genome", "heatmap", "index", "junction", "kinase"),
    *("library", "marker", "merge", "microarray", "normalise", "nucleus", "outlier", "pathway", "peaks", "phenodata"),
    *("primer", "quality", "quantile", "reads", "reference", "sample", "sequence", "single", "splice", "strand"),
)
TOOLS = (
    ("fastqc.R", "Quality control", "Read quality with FastQC", "ngs"),
    ("bwa-mem.R", "Alignment", "BWA MEM for paired-end reads", "ngs"),
    ("deseq2.R", "RNA-seq", "Differential expression using DESeq2", "ngs"),
    ("seurat-cluster.R", "Single cell", "Clustering (Seurat v5)", "singleCell"),
    ("norm-affy.R", "Normalisation", "Affymetrix", "microarray"),
    ("blastn.py", "Misc", "BLASTN", "misc"),
)
"""(toolid, toolcategory, toolname, module)"""
_SUFFIXES = (".fastq.gz", ".bam", ".tsv", ".csv", ".html", ".pdf", "", ".fa")


def pick_hard(values: Sequence[T], index: int, draws: Draws) -> tuple[bool, T]:
    """(True, a hard value) for the first entities and one in sixteen later; otherwise (False, some value)."""
    if index < len(values):
        return True, values[index]
    value = draws.pick(values)
    return draws.one_in(16), value


def name_file(draws: Draws, index: int) -> str | None:
    hard, text = pick_hard(TEXTS, index, draws)
    return text if hard else f"{draws.pick(WORDS)}_{draws.pick(WORDS)}_{index}{draws.pick(_SUFFIXES)}"


def name_thing(draws: Draws, index: int) -> str | None:
    hard, text = pick_hard(TEXTS, index, draws)
    return text if hard else " ".join(draws.pick(WORDS) for _ in range(1 + draws.below(5)))


def write_log(draws: Draws, index: int, longest: int = 1_500) -> bytes:
    """Bytes of a large object: a hard one, or lines of a tool's output, at most about `longest` bytes."""
    hard, data = pick_hard(LARGE_OBJECTS, index, draws)
    if hard:
        return data
    line = f"[{index}] {draws.pick(WORDS)}: {draws.pick(WORDS)} \u2192 {draws.below(10**9)} of {draws.bits(48)}\n"
    return line.encode() * (1 + draws.below(longest) // len(line))


def write_json(value: object) -> str:
    """JSON text of a value, the same on every Python; characters stay as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
