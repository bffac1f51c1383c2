"""A profiled model: its trace, and every judgement of it, computed when asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from effbench.documents import explain_document, profile_document, summary_document
from effbench.errors import Incomplete, InputError, ModelError, no_exit
from effbench.garbage import no_collection
from effbench.judge.convention import conventions
from effbench.judge.count import Counts, Coverage, LayerCount, count, missing_facts
from effbench.judge.explain import Explanation, explain
from effbench.judge.sparsity import Left, left_of, summed
from effbench.judge.summary import Summary, summarise
from effbench.records import Fact, Note, Trace
from effbench.report.explain import explain_text
from effbench.report.summary import torchsummary_text

if TYPE_CHECKING:
    from pandas import DataFrame

    from effbench.measure.allocator import Allocated
    from effbench.measure.source import Loaded


_UNRUN: Mapping[str, str] = MappingProxyType(
    {
        "graph": "this is a graph read from a file, which is counted and not run",
        "weights": "these are weights alone, without the model that they belong to",
    }
)
"""Why there is no model to run, by what a trace is of."""


@dataclass(frozen=True)
class Profile:
    """What one model costs for one input.

    Attributes:
        name: what tables call it. spec: where it came from; None for a model object.
        trace: the facts. convention: the name of the way of counting.
        source: the model and its inputs, held so that further facts can be recorded; None where there is no model,
            as for a graph read from a file, or a profile that was pickled, which leaves the model behind.
        allocated: what the allocator was measured to give, where `with_measured_memory` asked for it.
    """

    name: str
    spec: str | None
    trace: Trace
    convention: str = "macs"
    source: Loaded | None = field(default=None, repr=False, compare=False)
    allocated: Allocated | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "source": None}

    def count(self, convention: str) -> Counts:
        """Returns the counts under another convention.

        They are of the same trace; where the convention reads facts that it was made without, the model is traced
        once more.

        Raises:
            InputError: the convention is unknown or does not count such a trace, or the facts are missing and the
                model is gone or has changed.
        """
        chosen = conventions.get(convention)
        missing = missing_facts(self.trace, chosen)
        again = missing and self.source is not None and self.trace.origin == "module"
        trace = self._fuller(missing) if again else self.trace
        with no_collection():
            return count(trace, chosen)

    def with_facts(self, facts: Collection[Fact]) -> Profile:
        """Returns this profile with a trace that has the facts too, made anew where it lacks them.

        Raises:
            InputError: the model is gone, has changed, or cannot give them.
        """
        missing = [fact for fact in facts if getattr(self.trace, fact) is None]
        return replace(self, trace=self._fuller(missing)) if missing else self

    def with_measured_memory(self) -> Profile:
        """Returns this profile with what one forward pass on the CPU asks the allocator for; the model is run.

        Raises:
            InputError: the model is gone, or it and its inputs do not lie on the CPU with data.
            ModelError: the model raised.
        """
        from effbench.measure.allocator import allocated

        source = self._source("memory is measured by running the model")
        with no_exit(self.name):
            return replace(self, allocated=allocated(source))

    def _source(self, why: str) -> Loaded:
        if self.source is not None:
            return self.source
        gone = "the model is gone: profile it again"
        raise InputError(f"{self.name}: {why}, and {_UNRUN.get(self.trace.origin, gone)}")

    def _fuller(self, missing: Collection[Fact]) -> Trace:
        """Returns a trace with further facts of the same forward pass; each combination is recorded once."""
        facts: tuple[Fact, ...] = ("functions", "composites", "nonzeros")
        needs = frozenset(fact for fact in facts if fact in missing or getattr(self.trace, fact) is not None)
        if needs not in self._traces:
            self._traces[needs] = self._traced_again(needs)
        return self._traces[needs]

    @cached_property
    def _traces(self) -> dict[frozenset[Fact], Trace]:
        return {}

    def _traced_again(self, needs: frozenset[Fact]) -> Trace:
        from effbench.measure.trace import trace

        source = self._source(f"{', '.join(sorted(needs))} are recorded while the model runs")
        with no_exit(self.name):
            found = trace(source, needs=needs)
        if found.failed is not None:
            raise ModelError(f"{self.name}: {found.failed}", found)
        if _did(found) != _did(self.trace):
            raise InputError(f"{self.name}: the model does something else than when it was profiled: profile it again")
        return found

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
        return summed(self.nonzero_calls)

    @cached_property
    def nonzero_calls(self) -> tuple[Left, ...] | None:
        """Returns the MACs over weights that are not zero, call by call; None where they were not asked for."""
        return left_of(self.trace)

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


def _did(trace: Trace) -> object:
    """Returns what all passes of one model have in common: with data, a kernel may be split into other ops."""
    given = [(item.shape, item.dtype) for item in trace.inputs]
    called = [(call.path, call.type, [trace.values[number].shape for number in call.outputs]) for call in trace.modules]
    return given, trace.params, called, count(trace, conventions.get("macs")).total
