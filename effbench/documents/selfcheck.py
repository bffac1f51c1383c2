"""A selfcheck as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from effbench.documents.common import Document
from effbench.judge.selfcheck import SelfCheck
from effbench.records import SCHEMA
from effbench.records.peaks import GemmRun, Peaks, StreamRun

if TYPE_CHECKING:
    from effbench.selfchecks import Checked


def selfcheck_document(found: Checked) -> Document:
    """Returns the document of a selfcheck: seconds, bytes, FLOP and shares of 1 throughout; None is unknown."""
    ratio = found.comparison.ratio
    return {
        "schema": SCHEMA,
        "device": found.device,
        "threads": found.threads,
        "budget_s": found.budget_s,
        "spent_s": found.spent_s,
        "call_s": found.model.median_s,
        "between_processes": found.model.between,
        "pairs": found.comparison.pairs,
        "as_measured": {
            "verdict": found.comparison.verdict,
            "ratio": None if ratio is None else asdict(ratio),
        },
        **_rates(found.check),
        "peaks": None if found.peaks is None else _peaks(found.peaks),
        "disturbances": [asdict(each) for each in found.disturbed],
        "governor": found.environment.cpu.governor,
        "environment": dict(found.environment.facts()),
        "notes": [asdict(note) for note in found.notes],
    }


def _rates(check: SelfCheck | None) -> Document:
    """Returns error rates and power, all None where there were too few pairs."""
    if check is None:
        names = ("pair_s", "spread", "rule", "detectable", "draws", "false_alarms", "neighbours_correlate", "outcomes")
        return dict.fromkeys(names)
    allowed = check.pairs_allowed
    return {
        "pair_s": check.pair_s,
        "spread": {"estimate": check.spread, "low": check.spread_low, "high": check.spread_high},
        "rule": {"pairs": allowed, "seconds": allowed * check.pair_s, "margin": check.margin},
        "detectable": {"estimate": check.detectable, "low": check.detectable_low, "high": check.detectable_high},
        "draws": check.draws,
        "false_alarms": asdict(check.false_alarms),
        "neighbours_correlate": check.remembered,
        "outcomes": [asdict(each) for each in check.outcomes],
    }


def _peaks(peaks: Peaks) -> Document:
    return {
        "disturbed": peaks.disturbed,
        "spent_s": peaks.spent_s,
        "products": list(_products(peaks)),
        "memory": list(_memory(peaks)),
    }


def _products(peaks: Peaks) -> Iterator[Document]:
    cases = dict.fromkeys((run.precision, run.threads) for run in peaks.gemms)
    for precision, threads in cases:
        runs = [run for run in peaks.gemms if (run.precision, run.threads) == (precision, threads)]
        yield _product(max(runs, key=lambda run: run.flops_per_s))


def _product(run: GemmRun) -> Document:
    return {
        "precision": run.precision,
        "threads": run.threads,
        "size": run.size,
        "flops_per_s": run.flops_per_s,
        "median_flops_per_s": run.median_flops_per_s,
        "spread": run.spread,
    }


def _memory(peaks: Peaks) -> Iterator[Document]:
    for threads in dict.fromkeys(run.threads for run in peaks.streams):
        runs = [run for run in peaks.streams if run.threads == threads]
        yield _stream(max(runs, key=lambda run: run.bytes_per_s))


def _stream(run: StreamRun) -> Document:
    return {
        "kernel": run.kernel,
        "threads": run.threads,
        "array_bytes": run.array_bytes,
        "bytes_per_s": run.bytes_per_s,
        "median_bytes_per_s": run.median_bytes_per_s,
        "spread": run.spread,
    }
