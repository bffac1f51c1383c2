"""Batches that are measured again: how often noise alone rules out the best one, and that a worse one is ruled out."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import pytest

from effbench.measure.timing.candidates import ROUNDS, Confirmed, candidates, confirmed, judged
from effbench.measure.timing.entrant import OutOfMemory
from effbench.measure.timing.throughput import BestBatch, Throughput, best_batch


def noisy(truth: Mapping[int, float], sd: float, seed: int) -> Callable[[int], float]:
    chance = random.Random(seed)
    return lambda batch: truth[batch] * math.exp(chance.gauss(0.0, sd))


def found(truth: Mapping[int, float], sd: float, seed: int) -> Confirmed:
    tried = tuple(Throughput(batch, reached) for batch, reached in truth.items())
    best = max(tried, key=lambda item: item.samples_per_s or 0.0)
    return confirmed(BestBatch(best, tried, "slower"), noisy(truth, sd, seed), random.Random(seed))


def test_the_best_of_several_is_within_noise_nineteen_times_in_twenty() -> None:
    """Of 400 runs with four equal batches any one is ruled out in 5 % at most: 32 is the 99.7 % point of a true 5 %."""
    truth = {8: 1000.0, 16: 1000.0, 32: 1000.0, 64: 1000.0}
    runs = [found(truth, 0.05, seed) for seed in range(400)]
    assert sum(not one.repeats[1].within_noise for one in runs) <= 32


def test_a_batch_that_serves_clearly_less_is_ruled_out_and_a_slightly_better_one_is_found() -> None:
    runs = [found({8: 910.0, 16: 1000.0, 32: 950.0}, 0.01, seed) for seed in range(100)]
    assert sum(one.best.batch == 16 for one in runs) >= 95
    assert not any(one.repeats[0].within_noise for one in runs)  # 9 % are 16 standard errors of .58 %
    assert all(one.search.best.batch == one.best.batch for one in runs)


def test_of_batches_that_are_as_good_the_smallest_is_taken() -> None:
    one = found({8: 995.0, 16: 1000.0, 32: 1001.0}, 0.0, 0)
    assert one.best.batch == 8
    assert one.best.typical.estimate == pytest.approx(995.0)
    # Without any noise .1 % is a difference.
    assert one.within_noise == (32,)


def test_the_interval_is_that_of_rounds_and_not_of_calls() -> None:
    values = {4: [100.0, 110.0, 100.0, 110.0, 100.0, 110.0], 8: [50.0, 55.0, 50.0, 55.0, 50.0, 55.0]}
    four, eight = judged(values)
    # Logs of 100 and 110 in turn: mean ln √11000, sd .0522, and t(5) is 2.571: ± 5.48 %.
    assert four.typical.estimate == pytest.approx(math.sqrt(11000))
    half = 2.5706 * math.log(1.1) / 2 * math.sqrt(6 / 5) / math.sqrt(6)
    assert four.typical.low == pytest.approx(math.sqrt(11000) * math.exp(-half), rel=1e-4)
    # Rounds share their slow half, so that half as much is half as much in each of them.
    assert (four.within_noise, eight.within_noise) == (True, False)


@pytest.mark.parametrize(
    ("figures", "best", "chosen"),
    [
        ({1: 50.0, 2: 91.0, 4: 100.0, 8: 89.0, 16: None}, 4, (2, 4)),
        ({2**place: 100.0 - place for place in range(8)}, 1, (1, 2, 4, 8)),
        ({2**place: 100.0 for place in range(8)}, 16, (1, 2, 4, 16)),
        ({1: 99.0, 2: 99.5, 4: 99.6, 8: 99.7, 16: 100.0}, 1, (1, 4, 8, 16)),
    ],
)
def test_candidates_are_the_highest_few_that_are_near(
    figures: dict[int, float | None], best: int, chosen: tuple[int, ...]
) -> None:
    tried = tuple(Throughput(batch, reached) for batch, reached in figures.items())
    assert candidates(BestBatch(Throughput(best, figures[best]), tried, "slower")) == chosen


def test_each_round_takes_every_candidate_once_in_an_order_of_its_own() -> None:
    seen: list[int] = []
    rounds: list[tuple[int, tuple[int, ...]]] = []

    def throughput(batch: int) -> float:
        seen.append(batch)
        return 100.0

    search = BestBatch(Throughput(1, 100.0), tuple(Throughput(batch, 100.0) for batch in (1, 2, 4)), "slower")
    confirmed(search, throughput, random.Random(1), lambda number, batches: rounds.append((number, tuple(batches))))
    turns = [tuple(seen[place : place + 3]) for place in range(0, len(seen), 3)]
    assert rounds == [(number, (1, 2, 4)) for number in range(ROUNDS)]
    assert all(sorted(turn) == [1, 2, 4] for turn in turns)
    assert len(set(turns)) > 1


def test_a_batch_that_does_not_fit_again_is_not_recommended() -> None:
    def throughput(batch: int) -> float:
        if batch == 8:
            raise OutOfMemory("no")
        return float(batch)

    search = best_batch(lambda batch: float(min(batch, 8)))
    tried = (Throughput(7, 7.9), Throughput(8, 8.0))
    assert search.best.batch == 8
    assert confirmed(BestBatch(search.best, tried, "slower"), throughput, random.Random(0)).best.batch == 7
    with pytest.raises(OutOfMemory, match="a second time"):
        confirmed(BestBatch(search.best, tried[1:], "slower"), throughput, random.Random(0))
