"""Evaluation as a pipeline: data opened, model loaded, both run together; what must be known of the weights is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.evaluations import Choice, Evaluated
from effbench.metrics import Accumulator, metrics, refuse_missing
from effbench.records import Note

if TYPE_CHECKING:
    from torch import nn

    from effbench.measure.data.chosen import Wanted
    from effbench.measure.data.preprocess import Preprocess
    from effbench.measure.data.source import Data
    from effbench.measure.evaluate import Pass, Progress
    from effbench.measure.source import Loaded, Source


@dataclass(frozen=True, slots=True)
class Opening:
    """How a data set is found: see `effbench.measure.data.source.Request`."""

    root: Path | None = None
    split: str | None = None
    download: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)
    index: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A model as its spec names it: constructor arguments, texts of inputs, weights to load into it."""

    spec: str
    args: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    unsafe: bool = False
    weights: str | None = None


def run(
    model: nn.Module | Source | Asked,
    data: Any,
    chosen: Sequence[Choice],
    wanted: Wanted | Preprocess,
    opening: Opening,
    how: Pass,
    on_batch: Callable[[Progress], None] = lambda seen: None,
    say: Callable[[str], None] = lambda text: None,
) -> Evaluated:
    """Returns what `evaluate` does, of a model whose spec may have arguments, inputs and weights.

    Raises:
        InputError: nothing is found there, or model, data and metric do not fit together.
        ModelError: the model raised.
    """
    from effbench.api import as_source
    from effbench.measure.evaluate import evaluate as run_pass
    from effbench.measure.load import spec_with
    from effbench.measure.source import runnable

    asked = model if isinstance(model, Asked) else None
    opened = _opened(data, asked, wanted, opening)
    accumulators = _accumulators(chosen, opened)
    notes: tuple[Note, ...] = ()
    if isinstance(model, Asked):
        say(f"loading {model.spec}")
        loaded, notes = _loaded(model, opened)
    else:
        loaded = runnable(as_source(model, (), None))
    notes = (*loaded.notes, *notes, Note("preprocessing", opened.name, opened.preprocessing))
    seen = run_pass(loaded, opened, accumulators, how, notes, on_batch)
    return Evaluated(
        loaded.name,
        loaded.spec if asked is None else spec_with(asked.spec, asked.args),  # what --weights adds is no argument
        opened.name,
        seen.digest,
        seen.asked,
        seen.evaluations,
        opened.preprocessing,
        None if asked is None else asked.weights,
        opened.classes,
        tuple((item.name, item.reason, item.why) for item in seen.unreadable),
        {"batch": how.batch, "device": how.device or "the model's own", "seconds": seen.seconds},
    )


def _opened(data: Any, asked: Asked | None, wanted: Wanted | Preprocess, opening: Opening) -> Data:
    from effbench.measure.data import Request, open_data
    from effbench.measure.data.chosen import Model, choose
    from effbench.measure.data.preprocess import Preprocess
    from effbench.measure.data.python_data import of_dataset
    from effbench.measure.trained import constructor_arguments

    if isinstance(wanted, Preprocess):
        preprocess = wanted
    else:
        known = Model()
        if asked is not None:
            known = Model(asked.spec, constructor_arguments(asked.spec, asked.args, asked.weights))
        preprocess = choose(wanted, known)
    text = data if isinstance(data, str) else str(data) if isinstance(data, Path) else type(data).__name__
    request = Request(
        text, text, preprocess, opening.root, opening.split, opening.download, opening.args, opening.index
    )
    return open_data(request) if isinstance(data, str | Path) else of_dataset(data, request, text)


def _accumulators(chosen: Sequence[Choice], data: Data) -> list[Accumulator]:
    """Returns empty accumulators; distances between keypoints are told in pixels of the model's input by default."""
    size: dict[str, object] = {} if data.size is None else {"height": data.size[0], "width": data.size[1]}
    filled = []
    for name, settings in chosen:
        metric = metrics.get(name)
        stated = size if size.keys() <= {item.name for item in metric.settings} and not size.keys() & settings else {}
        filled.append((metric, {**stated, **settings}))
    unknown = data.pixels and data.size is None
    refuse_missing(filled, "; --resize HxW or --crop N states width and height, too" if unknown else "")
    return [Accumulator(metric, settings) for metric, settings in filled]


def _loaded(asked: Asked, data: Data) -> tuple[Loaded, tuple[Note, ...]]:
    """Returns (the model, what a reader must know of its weights)."""
    from effbench.measure.source import runnable
    from effbench.measure.trained import constructor_arguments, differs_when_built_again, is_file, with_file

    args = constructor_arguments(asked.spec, asked.args, asked.weights)

    def load_again() -> Loaded:
        return runnable(_found(replace(asked, args=args), data))

    loaded = load_again()
    if asked.weights is not None:
        if is_file(asked.weights):
            loaded = with_file(loaded, asked.weights)
        return loaded, (Note("weights", loaded.name, asked.weights),)
    if loaded.origin != "graph" and differs_when_built_again(loaded, load_again):
        text = (
            "its weights are drawn anew each time it is built: they were never trained, and its values are what chance "
            "gives; load trained ones with --weights"
        )
        return loaded, (Note("random-weights", loaded.name, text),)
    return loaded, ()


def _found(asked: Asked, data: Data) -> Source:
    """Returns what the spec names; a model that brings no example input gets the shape of the first sample for one."""
    from effbench.api import load
    from effbench.measure.data.source import Sample

    try:
        return load(asked.spec, asked.args, asked.inputs, asked.unsafe)
    except InputError:
        first = next((item for item in data if isinstance(item, Sample)), None)
        if asked.inputs or first is None or not hasattr(first.input, "shape"):
            raise
        shape = "x".join(map(str, (1, *first.input.shape)))
        example = f"{shape}:{str(first.input.dtype).removeprefix('torch.')}"
        return load(asked.spec, asked.args, (example,), asked.unsafe)
