"""What is known of a figure → draws of it: what it may as well have been, for all models of a ranking at once."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from effbench.errors import InputError
from effbench.judge.evidence import WHOLE, ErrorEvidence, Exact, PerSample, ProcessTimes, Share, TimeEvidence
from effbench.records.evaluation import Evaluation
from effbench.stats import Floats
from effbench.stats.intervals import TYPICAL_TRIMMED, centre, worth

_CELLS = 4_000_000
"""Resampling weights that are held at once: 32 MB, whatever the numbers of samples and draws."""

_NORMAL = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""

Values = Callable[[Evaluation, Floats], Floats]
"""An evaluation and weights of shape (draws, n) to values of shape (draws,)."""


def draw_errors(evidence: Sequence[ErrorEvidence], draws: int, seed: int, values: Values | None = None) -> Floats:
    """Returns draws of each model's error or quality in its own unit, shape (draws, models).

    - `PerSample`: the bootstrap over samples. Evaluations of one data set (same digest and size) are resampled
      together, so that samples that are hard for all models cancel in differences; where samples were left out the
      others keep their places. Evaluations without a digest are resampled on their own. Where each sample counts
      whole or not at all (`Metric.binomial`), Gamma(½) further samples of either kind are added to each draw, Jeffreys'
      prior: of no errors a resample alone never has one. Of other metrics, below some 30 samples intervals are too
      short.
    - `Share`: Beta(x + ½, n − x + ½) with x = value · n, what a binomial count x leaves open under Jeffreys' prior;
      unlike binomial counts drawn at x/n it has a spread at 0 and 1, and its quantiles cover (Brown, Cai and DasGupta,
      "Interval estimation for a binomial proportion", Statistical Science 16, 2001). Models are drawn independently.
      Of models that err on the same samples more than chance would have it, which is the rule, this makes differences
      wider than they are: intervals of ranks are then too long, never too short.
    - `Exact`: the value in every draw, log-normal where a half-width is stated.

    What is drawn for a model depends on its own evidence and the seed, not on its place or on which others there are,
    but for models whose evidence is equal: the second of two equal shares or stated values has draws of its own, so
    which one has which depends on their sequence, and on whether both are there.

    Args:
        values: evaluation and weights to values; None for that of the evaluation's registered metric.

    Raises:
        InputError: no draws, or an evaluation has no value in any of them.
    """
    found = np.empty((_counted(draws), len(evidence)))
    streams = _Streams(seed)
    groups: dict[tuple[str, int], list[int]] = {}
    for place, known in enumerate(evidence):
        match known:
            case PerSample(evaluation):
                groups.setdefault(_data_set(evaluation), []).append(place)
            case Share(value, n, unit):
                hits = value / WHOLE[unit] * n
                stream = streams.of("share", value, n, unit)
                found[:, place] = stream.beta(hits + 0.5, n - hits + 0.5, draws) * WHOLE[unit]
            case Exact():
                found[:, place] = _stated(known, draws, streams)
    for (digest, size), places in groups.items():
        evaluations = [known.evaluation for place in places if isinstance(known := evidence[place], PerSample)]
        stream = streams.of("samples", digest, size)
        found[:, places] = _resampled(evaluations, size, draws, stream, values or _values_of())
        for place, evaluation in zip(places, evaluations, strict=True):
            if _is_binomial(evaluation):
                found[:, place] = _with_prior(found[:, place], evaluation, streams)
    return found


def draw_times(evidence: Sequence[TimeEvidence], draws: int, seed: int) -> Floats:
    """Returns draws of each model's time in seconds, shape (draws, models).

    - `ProcessTimes`: trimmed mean + c · √(ν/χ²) · Σ g_r·(x_r − x̄) over the processes' log medians x_r, with normal g_r
      of each round, χ² of ν degrees of freedom, and c such that each model's draws have the quantiles of the interval
      of `effbench.stats.typical`, Student's t. Processes drawn with replacement would be too narrow by √(n/(n−1)) and
      lack the tails: `results/ranking/coverage.md`. Models of one run share g_r and χ²: their difference is, where all
      processes count, Student's t of the paired differences by round, so what is shared cancels.
    - `Exact`: log-normal where a half-width h is stated, 95 % of it from value/(1+h) to value·(1+h); else the value.

    What is drawn for a model depends on its own evidence, its run and the seed, not on its place.

    Raises:
        InputError: no draws.
    """
    found = np.empty((_counted(draws), len(evidence)))
    streams = _Streams(seed)
    shared: dict[str, _Rounds] = {}
    for place, known in enumerate(evidence):
        if isinstance(known, Exact):
            found[:, place] = _stated(known, draws, streams)
            continue
        if known.run:
            noise = shared.setdefault(known.run, _Rounds(draws, streams, ("run", known.run)))
        else:
            noise = _Rounds(draws, streams, streams.key("alone", *known.log_medians))
        found[:, place] = np.exp(_typical_logs(known, noise))
    return found


def draw_rounding(cells: Sequence[str], draws: int, seed: int) -> Floats:
    """Returns draws of where in its last digit each figure lies, shape (draws, figures), uniform from −1 to 1.

    They depend on the seed and on the cell that the figure was written in: those of one cell are the same.
    """
    streams = _Streams(seed)
    shifts = {cell: streams.at("rounding", cell).uniform(-1, 1, draws) for cell in dict.fromkeys(cells)}
    return np.column_stack([shifts[cell] for cell in cells])


class _Streams:
    """Random numbers that depend on a seed and on what they are for; the second of two equal things has others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: Counter[tuple[object, ...]] = Counter()

    def key(self, *what: object) -> tuple[object, ...]:
        """Returns the key of the next stream of this content."""
        self._seen[what] += 1
        return (*what, self._seen[what])

    def at(self, *key: object) -> np.random.Generator:
        """Returns the stream of a key: the same one each time."""
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
        return np.random.default_rng([self._seed, int.from_bytes(digest, "big")])

    def of(self, *what: object) -> np.random.Generator:
        """Returns the next stream of this content."""
        return self.at(*self.key(*what))


class _Rounds:
    """What the rounds of one run drew: shared by all models that were timed in it."""

    def __init__(self, draws: int, streams: _Streams, key: tuple[object, ...]) -> None:
        self._draws, self._streams, self._key = draws, streams, key
        self._normals: dict[int, Floats] = {}
        self._tail = streams.at("tail", *key).random(draws)

    def normals(self, number: int) -> Floats:
        """Returns a round's normal numbers, shape (draws,)."""
        if number not in self._normals:
            self._normals[number] = self._streams.at("round", number, *self._key).standard_normal(self._draws)
        return self._normals[number]

    def tails(self, freedom: float) -> Floats:
        """Returns √(ν/χ²), shape (draws,): rising with one uniform number a draw, whatever the degrees of freedom."""
        from scipy.special import chdtri

        return np.asarray(np.sqrt(freedom / chdtri(freedom, self._tail)))


def _typical_logs(known: ProcessTimes, noise: _Rounds) -> Floats:
    """Returns draws of the trimmed mean of log medians, as `stats.typical` widens its interval."""
    logs = np.asarray(known.log_medians)
    count = len(logs)
    if count < 2:
        return np.full(len(noise.normals(known.rounds[0])), logs[0])
    found, shrunk = centre(logs, TYPICAL_TRIMMED), worth(logs) / count
    cut = int(TYPICAL_TRIMMED * count)
    ordered = np.sort(logs)
    kept = np.clip(logs, ordered[cut], ordered[count - cut - 1])
    moved = (kept - kept.mean()) @ np.stack([noise.normals(number) for number in known.rounds])
    left = count - 2 * cut
    scale = 1 / math.sqrt(left * (left - 1) * shrunk)
    return np.asarray(found.mean + scale * noise.tails(max(found.freedom * shrunk, 2.0)) * moved)


def _resampled(
    evaluations: Sequence[Evaluation], size: int, draws: int, stream: np.random.Generator, values: Values
) -> Floats:
    """Returns draws of evaluations of one data set of `size` samples, shape (draws, evaluations), some at a time."""
    found = np.empty((draws, len(evaluations)))
    held = [_held(evaluation, size) for evaluation in evaluations]
    step = max(1, _CELLS // size)
    for start in range(0, draws, step):
        part = slice(start, min(start + step, draws))
        weights = np.empty((part.stop - start, size))
        for row in weights:
            row[:] = np.bincount(stream.integers(size, size=size), minlength=size)
        for place, (evaluation, kept) in enumerate(zip(evaluations, held, strict=True)):
            found[part, place] = values(evaluation, weights[:, kept])
    for place, evaluation in enumerate(evaluations):
        found[:, place] = _defined(found[:, place], evaluation)
    return found


def _is_binomial(evaluation: Evaluation) -> bool:
    from effbench.metrics import metrics

    known = metrics.find(evaluation.metric)
    return known is not None and known.binomial and evaluation.unit in WHOLE


def _with_prior(drawn: Floats, evaluation: Evaluation, streams: _Streams) -> Floats:
    """Returns draws x/n of a share as (x + g)/(n + g + h) with g, h ~ Gamma(½), equal answers with equal g and h.

    With weights of the Bayesian bootstrap in place of counts it would be Beta(x + ½, n − x + ½), Jeffreys' posterior,
    whose mean and variance it has.
    """
    whole, count = WHOLE[evaluation.unit], evaluation.n
    stream = streams.at("prior", _content(evaluation))
    more, less = stream.standard_gamma(0.5, (2, len(drawn)))
    return np.asarray(whole * (drawn / whole * count + more) / (count + more + less))


def _content(evaluation: Evaluation) -> str:
    """Returns a digest of the metric and of every sample's statistics."""
    told = hashlib.blake2b(evaluation.metric.encode(), digest_size=16)
    for name in sorted(evaluation.per_sample):
        told.update(np.asarray(evaluation.per_sample[name], dtype=np.float64).tobytes())
    return told.hexdigest()


def _data_set(evaluation: Evaluation) -> tuple[str, int]:
    """Returns what evaluations of the same samples have in common: the data's digest and size.

    One without a digest has its own content instead, and shares its samples with none that differs from it.
    """
    if evaluation.n < 1:
        raise InputError(f"{evaluation.metric} of {evaluation.data or 'a data set'}: no samples are left to draw from")
    if evaluation.digest:
        return evaluation.digest, evaluation.n + sum(evaluation.left_out.values())
    return f"content {_content(evaluation)}", evaluation.n


def _held(evaluation: Evaluation, size: int) -> slice | NDArray[np.int64]:
    """Returns which samples of the data set an evaluation holds: all, or those that were not left out."""
    if evaluation.n == size:
        return slice(None)
    from effbench.metrics import positions_of

    places = np.asarray(positions_of(evaluation))
    if places.shape != (evaluation.n,) or places.min() < 0 or places.max() >= size:
        raise InputError(f"{evaluation.metric}: its samples' places do not fit a data set of {size} samples")
    return places


def _defined(drawn: Floats, evaluation: Evaluation) -> Floats:
    """Returns draws without those that have no value, such as a mean over visible points in which none is.

    They are left out as if they had never been drawn: others stand in for them.
    """
    kept = drawn[~np.isnan(drawn)]
    if not len(kept):
        raise InputError(f"{evaluation.metric} of {evaluation.data or 'a data set'} has no value in any resample")
    return np.where(np.isnan(drawn), np.resize(kept, len(drawn)), drawn)


def _stated(known: Exact, draws: int, streams: _Streams) -> Floats:
    if not known.half_width:
        return np.full(draws, known.value)
    sd = math.log1p(known.half_width) / _NORMAL
    stream = streams.of("stated", known.value, known.half_width)
    return np.asarray(known.value * np.exp(sd * stream.standard_normal(draws)))


def _values_of() -> Values:
    from effbench.metrics import values_of

    return values_of


def _counted(draws: int) -> int:
    if draws < 1:
        raise InputError(f"{draws} draws: at least one is needed")
    return draws
