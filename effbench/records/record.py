"""All that is known of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from effbench.records.environment import Environment
from effbench.records.evaluation import Evaluation
from effbench.records.note import Note
from effbench.records.published import ErrorFigure, Published
from effbench.records.timing import Timing

SCHEMA = 1
"""Of the documents that commands print."""

RECORD_SCHEMA = 3
"""Of stored records; 2 keeps the values of an evaluation beside the record, 3 says the run and the energy of times and
how far published figures were rounded."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one model; a stage that was not run is None or empty.

    Attributes:
        name: what tables call it.
        spec: where the model comes from; None for a published row without code.
        trace: digest of its trace, stored beside the record.
        errors: stated by the user (`--error name=value:unit`).
        published: stated by a document.
        timings: one for each plan, all of them taken in `environment`.
        evaluations: one for each metric, its settings and data set.
    """

    name: str
    spec: str | None = None
    trace: str | None = None
    errors: Mapping[str, ErrorFigure] = field(default_factory=dict)
    published: Published | None = None
    notes: tuple[Note, ...] = ()
    schema: int = RECORD_SCHEMA
    timings: tuple[Timing, ...] = ()
    environment: Environment | None = None
    evaluations: tuple[Evaluation, ...] = ()
