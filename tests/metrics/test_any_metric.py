"""What holds for every metric: batches do not matter, weights are repetitions, order does not matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import InputError
from effbench.metrics import (
    Accumulator,
    as_error,
    digest_of,
    evaluation,
    metrics,
    positions_of,
    value_of,
    values_of,
)

Draw = np.random.Generator
Data = tuple[Any, Any]


def scores(draw: Draw, n: int) -> Data:
    """Class scores that often tie, some not finite, some labels out of range."""
    given = draw.integers(0, 6, (n, 7)).astype(float)
    given[draw.random((n, 7)) < 0.01] = np.nan
    return given, draw.integers(0, 8, n)


def keypoints(draw: Draw, n: int) -> Data:
    """Keypoints of which half are not visible, some predictions not finite."""
    given, wanted = draw.uniform(0, 100, (2, n, 4, 2)).astype(np.float32)
    given[draw.random((n, 4, 2)) < 0.02] = np.inf
    return given, np.concatenate([wanted, draw.integers(0, 2, (n, 4, 1))], axis=2)


def images(draw: Draw, n: int) -> Data:
    """Images of which some are not finite and some perfect."""
    given, wanted = draw.random((2, n, 2, 12, 11)).astype(np.float32)
    given[draw.random(n) < 0.1] = np.nan
    perfect = draw.random(n) < 0.1
    given[perfect] = wanted[perfect]
    return given, wanted


def maps(draw: Draw, n: int) -> Data:
    """Scores of three classes for maps with ignored pixels and unknown labels."""
    wanted = draw.choice([0, 1, 2, 9], size=(n, 3, 4))
    wanted[draw.random(n) < 0.1] = 9
    wanted[draw.random((n, 3, 4)) < 0.01] = 5
    return draw.integers(0, 5, (n, 3, 3, 4)), wanted


IMAGE: dict[str, object] = {"width": 100, "height": 100, "normalized": 0}
CASES: dict[str, tuple[Callable[[Draw, int], Data], dict[str, object]]] = {
    **{name: (scores, {}) for name in ("top1", "top5", "top1_err", "top5_err", "accuracy", "error_rate", "confusion")},
    **{name: (scores, {"average": "macro"}) for name in ("precision", "recall", "f1")},
    **dict.fromkeys(("pixel_error", "coordinate_error"), (keypoints, IMAGE)),
    "pck": (keypoints, {**IMAGE, "t": 0.3, "reference": "box"}),
    **{name: (images, {"data_range": 1}) for name in ("psnr", "ssim")},
    **{name: (images, {}) for name in ("mse", "mae")},
    "miou": (maps, {"ignore_index": 9}),
}
each = pytest.mark.parametrize("name", sorted(CASES))


def test_every_metric_is_tried() -> None:
    own = {name for name, entry in metrics.items() if entry.per_sample.__module__.startswith("effbench.")}
    assert own == set(CASES)


@each
@given(seed=st.integers(0, 2**32), n=st.integers(1, 25), cuts=st.lists(st.integers(0, 25), max_size=6))
def test_any_split_into_batches_gives_the_identical_evaluation(name: str, seed: int, n: int, cuts: list[int]) -> None:
    make, settings = CASES[name]
    predictions, targets = make(np.random.default_rng(seed), n)
    whole = evaluation(name, settings, predictions, targets, "toy")
    split = Accumulator(name, settings)
    for part in np.split(np.arange(n), sorted(min(cut, n) for cut in cuts)):  # some of them empty
        split.add(predictions[part], targets[part])
    assert split.done("toy") == whole
    assert whole.n + sum(whole.left_out.values()) == n
    assert whole.digest == digest_of([targets])


@each
def test_weights_are_explicit_repetitions(name: str) -> None:
    make, settings = CASES[name]
    draw = np.random.default_rng(5)
    for _ in range(10):
        predictions, targets = make(draw, 12)
        kept = evaluation(name, settings, predictions, targets)
        weights = draw.multinomial(kept.n, np.full(kept.n, 1 / kept.n), size=20)
        found = values_of(kept, weights)
        assert found.shape == (20,)
        for counts, value in zip(weights, found, strict=True):
            again = np.repeat(positions_of(kept), counts)
            repeated = evaluation(name, settings, predictions[again], targets[again])
            assert repeated.n == kept.n
            assert value == pytest.approx(value_of(repeated), rel=1e-12, abs=1e-14)


@each
def test_weights_of_one_are_the_value_and_order_does_not_matter(name: str) -> None:
    make, settings = CASES[name]
    predictions, targets = make(np.random.default_rng(6), 40)
    kept = evaluation(name, settings, predictions, targets)
    assert values_of(kept, np.ones((1, kept.n)))[0] == pytest.approx(value_of(kept), rel=1e-12)
    turned = evaluation(name, settings, predictions[::-1], targets[::-1])
    assert value_of(turned) == pytest.approx(value_of(kept), rel=1e-12)
    assert turned.left_out == kept.left_out
    assert turned.digest != kept.digest


@each
def test_no_metric_shows_a_value_of_a_draw_without_samples(name: str) -> None:
    make, settings = CASES[name]
    kept = evaluation(name, settings, *make(np.random.default_rng(7), 10))
    assert np.isnan(values_of(kept, np.zeros((2, kept.n)))).all()


@each
def test_an_error_of_a_metric_is_one_minus_it_in_every_draw(name: str) -> None:
    entry = metrics.get(name)
    if not entry.error:
        return
    assert metrics.get(entry.error).direction == "lower"
    make, settings = CASES[name]
    kept = evaluation(name, settings, *make(np.random.default_rng(8), 30))
    weights = np.random.default_rng(9).integers(0, 3, (5, kept.n))
    assert values_of(as_error(kept), weights) == pytest.approx(1 - values_of(kept, weights))


def test_positions_say_which_samples_are_there() -> None:
    kept = Accumulator("mse")
    kept.add([1.0, np.nan], [0.0, 0.0])
    kept.leave_out("image does not decode", 2)
    kept.add([3.0], [0.0])
    done = kept.done("toy")
    assert positions_of(done).tolist() == [0, 4]
    assert done.left_out == {"image does not decode": 2, "prediction not finite": 1}
    assert done.notes[0].text == (
        "3 of 5 samples are not in the value: 2 × image does not decode; 1 × prediction not finite"
    )
    assert value_of(done) == (1 + 9) / 2
    assert positions_of(evaluation("mse", {}, [1.0, 2.0], [0.0, 0.0])).tolist() == [0, 1]


def test_positions_put_samples_in_the_data_set_s_order() -> None:
    kept = Accumulator("mse")
    kept.add([3.0], [0.0], [1])
    kept.add([1.0], [0.0], [0])
    assert kept.done().per_sample["squares_sum"] == (1, 9)
    with pytest.raises(InputError, match="2 positions for 1 samples"):
        kept.add([1.0], [0.0], [2, 3])


def test_a_refused_batch_leaves_everything_as_it_was() -> None:
    kept = Accumulator("top1")
    kept.add(np.eye(3), [0, 1, 1])
    before = kept.done()
    for predictions, targets in ((np.eye(4), [0, 1, 2, 3]), (np.eye(3), [0, 1]), (np.eye(3), [0.5, 1, 2])):
        with pytest.raises(InputError):
            kept.add(predictions, targets)
        assert kept.done() == before


def test_digests_tell_targets_apart_but_not_how_they_are_stored() -> None:
    targets = np.arange(12).reshape(6, 2)
    digest = digest_of([targets])
    assert digest == digest_of([targets[:2].astype(np.float32), targets[2:].astype(np.uint8)])
    assert digest == digest_of([targets[:0], np.asfortranarray(targets)])
    others = (targets[::-1], targets.reshape(-1), targets.reshape(4, 3), targets[:-1], targets + 1)
    assert len({digest, *(digest_of([other]) for other in others)}) == 1 + len(others)


def test_weights_of_another_shape_are_refused() -> None:
    kept = evaluation("mse", {}, [1.0, 2.0], [0.0, 0.0])
    for weights in (np.ones(2), np.ones((1, 3))):
        with pytest.raises(InputError, match="they must be draws × samples"):
            values_of(kept, weights)
