"""A profiled model: its trace, and every judgement of it, computed when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from effbench.documents import explain_document, profile_document, summary_document
from effbench.errors import Incomplete
from effbench.judge.convention import conventions
from effbench.judge.count import Counts, Coverage, LayerCount, count
from effbench.judge.explain import Explanation, explain
from effbench.judge.sparsity import nonzero_macs
from effbench.judge.summary import Summary, summarise
from effbench.records import Note, Trace
from effbench.report.explain import explain_text
from effbench.report.summary import torchsummary_text

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Profile:
    """What one model costs for one input.

    Attributes:
        name: what tables call it. spec: where it came from; None for a model object.
        trace: the facts. convention: the name of the way of counting.
    """

    name: str
    spec: str | None
    trace: Trace
    convention: str = "macs"

    def count(self, convention: str) -> Counts:
        """Returns the counts under another convention, from the same trace."""
        return count(self.trace, conventions.get(convention))

    @cached_property
    def counts(self) -> Counts:
        """Returns the counts under this profile's convention."""
        return self.count(self.convention)

    @property
    def params(self) -> int:
        """Returns the number of distinct parameters, trainable or not."""
        return sum(param.numel for param in self.trace.params if param.alias_of is None)

    @property
    def macs(self) -> int | None:
        """Returns the MACs; None where an op is unknown or the convention counts FLOPs."""
        return self.counts.macs

    @property
    def nonzero_macs(self) -> int | None:
        """Returns the MACs over weights that are not zero; None where `facts=("nonzeros",)` was not asked for."""
        return nonzero_macs(self.trace)

    @property
    def flops(self) -> int | None:
        """Returns the FLOPs, two per MAC; None where an op is unknown."""
        return self.counts.flops

    @property
    def coverage(self) -> Coverage:
        """Returns how many calls were counted, free and unknown."""
        return self.counts.coverage

    @property
    def layers(self) -> tuple[LayerCount, ...]:
        """Returns one row per module path with its own share; the rows sum to the total."""
        return self.counts.layers

    @property
    def notes(self) -> tuple[Note, ...]:
        """Returns what a reader of the numbers must know."""
        reasons = self.counts.reasons
        unknown = (
            Note("unknown-op", op, f"called {calls} ×, {reasons.get(op, 'has no formula')}: the total is unknown")
            for op, calls in self.coverage.unknown.items()
        )
        return (*self.trace.notes, *unknown)

    def summarised(self) -> Summary:
        """Returns the torchsummary report as data."""
        return summarise(self.trace)

    def explained(self, layer: str | None = None) -> Explanation:
        """Returns the hand calculations as data, of all layers or of one and what is below it."""
        return explain(self.trace, self.counts, layer)

    def summary(self) -> str:
        """Returns the torchsummary report as text."""
        return "\n".join(torchsummary_text(summary_document(self))) + "\n"

    def explain(self, layer: str | None = None) -> str:
        """Returns the hand calculations as text, of all layers or of one and what is below it."""
        return "\n".join(explain_text(explain_document(self, layer))) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Returns the document that `effbench profile --format json` prints."""
        return profile_document(self)

    def to_frame(self) -> DataFrame:
        """Returns one row per module path: path, type, calls, params, macs, flops."""
        from pandas import DataFrame

        rows = self.to_dict()["layers"]
        return DataFrame([{key: value for key, value in row.items() if key != "subtotal"} for row in rows])

    def complete(self) -> Profile:
        """Returns itself where every op is known.

        Raises:
            Incomplete: the total is unknown; the ops are named, or why there is no forward pass.
        """
        if self.trace.failed is not None:
            raise Incomplete(f"{self.name}: {self.trace.failed}")
        if self.counts.reasons:
            told = "; ".join(f"{op} {why}" for op, why in self.counts.reasons.items())
            raise Incomplete(f"{self.name}: no total under {self.convention}: {told}")
        if self.counts.total is None:
            ops = ", ".join(f"{op} ({calls} calls)" for op, calls in self.coverage.unknown.items())
            raise Incomplete(f"{self.name}: no formula for {ops}; declare one with @effbench.formula")
        return self
