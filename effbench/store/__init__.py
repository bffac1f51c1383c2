"""The only part that opens result files: records as JSON, what they share by content, all written whole or not at all.

A folder of records holds

- `NAME.json`, a record each: what people read, the truth;
- `traces/DIGEST.json.gz` and `samples/DIGEST.json.gz`, traces and the values of evaluations;
- where it holds many, hidden files `.effbench-…` that may be deleted at any time: they are made from the others.
"""

from effbench.store.derived import of_traces
from effbench.store.disposable import code_version
from effbench.store.files import read_text, require_writable, write_whole
from effbench.store.folder import Store
from effbench.store.merging import merge
from effbench.store.reading import Stored
from effbench.store.texts import validated
from effbench.store.views import EvaluationView, RecordView, TimingView, view

__all__ = [
    "EvaluationView",
    "RecordView",
    "Store",
    "Stored",
    "TimingView",
    "code_version",
    "merge",
    "of_traces",
    "read_text",
    "require_writable",
    "validated",
    "view",
    "write_whole",
]
