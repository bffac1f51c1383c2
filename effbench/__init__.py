"""effbench: what a PyTorch model costs, how wrong it is, and which model is the best trade.

    import effbench as eb
    p = eb.profile(model, (x,))
    print(p.params, p.macs, p.flops)
    print(p.explain())

Names are imported when first used: `import effbench` loads neither torch nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from effbench.api import (
        assert_budget,
        audit,
        check,
        load,
        profile,
        read_folder,
        read_published,
        record,
    )
    from effbench.comparisons import compare
    from effbench.errors import EffbenchError
    from effbench.evaluations import evaluate
    from effbench.judge.algebra import product
    from effbench.judge.conventions import convention
    from effbench.judge.formulas import formula
    from effbench.judge.scores import score
    from effbench.judge.work import Work
    from effbench.metrics import metric
    from effbench.profiles import Profile
    from effbench.rankings import rank
    from effbench.records import ErrorFigure
    from effbench.tables.importing import import_tables
    from effbench.timings import time

__version__ = "0.1.0"

_HOMES = {
    "EffbenchError": "effbench.errors",
    "ErrorFigure": "effbench.records",
    "Profile": "effbench.profiles",
    "Work": "effbench.judge.work",
    "assert_budget": "effbench.api",
    "audit": "effbench.api",
    "check": "effbench.api",
    "compare": "effbench.comparisons",
    "convention": "effbench.judge.conventions",
    "evaluate": "effbench.evaluations",
    "formula": "effbench.judge.formulas",
    "import_tables": "effbench.tables.importing",
    "load": "effbench.api",
    "metric": "effbench.metrics",
    "product": "effbench.judge.algebra",
    "profile": "effbench.api",
    "rank": "effbench.rankings",
    "read_folder": "effbench.api",
    "read_published": "effbench.api",
    "record": "effbench.api",
    "score": "effbench.judge.scores",
    "time": "effbench.timings",
}

__all__ = [
    "EffbenchError",
    "ErrorFigure",
    "Profile",
    "Work",
    "assert_budget",
    "audit",
    "check",
    "compare",
    "convention",
    "evaluate",
    "formula",
    "import_tables",
    "load",
    "metric",
    "product",
    "profile",
    "rank",
    "read_folder",
    "read_published",
    "record",
    "score",
    "time",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'effbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
