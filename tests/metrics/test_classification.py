"""Metrics of class labels against counting by hand and torchmetrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional import classification as peer

from effbench.errors import InputError
from effbench.metrics import as_error, evaluation, table_of, value_of

SCORES = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.5, 0.1, 0.4]])
LABELS = np.array([1, 1, 2, 2])
# Answers 1, 0, 2, 0: right, wrong, right, wrong.


def value(metric: str, predictions: Any, targets: Any, **settings: object) -> float:
    return value_of(evaluation(metric, settings, predictions, targets))


def test_top1_and_its_error_by_hand() -> None:
    assert value("top1", SCORES, LABELS) == 2 / 4
    assert value("top1_err", SCORES, LABELS) == 1 - 2 / 4
    assert value("accuracy", SCORES, LABELS) == 2 / 4
    assert value("error_rate", [1, 0, 2, 0], LABELS) == 1 - 2 / 4
    assert value("top1", [1, 0, 2, 0], LABELS) == 2 / 4


def test_the_rank_is_how_many_classes_score_at_least_as_well() -> None:
    kept = evaluation("top1", {}, SCORES, LABELS)
    assert kept.per_sample == {"target": (1, 1, 2, 2), "rank": (1, 2, 1, 2)}
    assert kept.settings == {"num_classes": 3}
    assert (kept.n, kept.unit, kept.direction, kept.left_out, kept.notes) == (4, "fraction", "higher", {}, ())


def test_top5_by_hand() -> None:
    scores = np.array([[6, 5, 4, 3, 2, 1]] * 6)  # class c has rank c + 1
    assert value("top5", scores, np.arange(6)) == 5 / 6
    assert value("top5_err", scores, np.arange(6)) == 1 - 5 / 6


def test_precision_recall_and_f1_by_hand() -> None:
    # Answers 1, 0, 2, 0 for targets 1, 1, 2, 2. Of class 0, 1, 2: TP 0, 1, 1; answered 2, 1, 1; wanted 0, 2, 2.
    assert value("precision", SCORES, LABELS) == pytest.approx((0 / 2 + 1 / 1 + 1 / 1) / 3)
    assert value("recall", SCORES, LABELS) == pytest.approx((0 + 1 / 2 + 1 / 2) / 3)
    assert value("f1", SCORES, LABELS) == pytest.approx((0 + 2 / 3 + 2 / 3) / 3)
    for name in ("precision", "recall", "f1"):
        assert value(name, SCORES, LABELS, average="micro") == 2 / 4


def test_a_class_that_nobody_names_is_not_averaged() -> None:
    # Of 10 classes only 0 and 1 occur: 0 is answered rightly once, 1 never.
    assert value("recall", [0, 0], [0, 1], num_classes=10) == (1 + 0) / 2


def test_the_confusion_matrix_by_hand() -> None:
    for metric in ("confusion", "accuracy", "f1", "precision", "recall", "error_rate"):
        table = table_of(evaluation(metric, {}, SCORES, LABELS))
        assert table is not None
        assert table.tolist() == [[0, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert table_of(evaluation("top1", {}, SCORES, LABELS)) is None
    assert value("confusion", SCORES, LABELS) == 2 / 4


def test_a_confusion_matrix_is_as_large_as_its_classes() -> None:
    known = table_of(evaluation("accuracy", {"num_classes": 4}, [0, 2], [0, 1]))
    seen = table_of(evaluation("accuracy", {}, [0, 2], [0, 1]))
    assert known is not None
    assert seen is not None
    assert (known.shape, seen.shape) == ((4, 4), (3, 3))
    with pytest.raises(InputError, match=r"confusion matrix of 2,000,001 classes is too large"):
        table_of(evaluation("accuracy", {}, [0, 2_000_000], [0, 1]))


def test_a_tie_is_never_settled_in_a_model_s_favour() -> None:
    constant, targets = np.zeros((6, 6)), np.arange(6)
    for metric in ("top1", "top5", "accuracy", "precision", "recall", "f1"):
        assert value(metric, constant, targets) == 0
    pair = np.array([[2.0, 2.0, 1.0]])  # two classes share the best score
    assert value("top1", pair, [0]) == value("top1", pair, [1]) == 0
    assert value("accuracy", pair, [0]) == value("accuracy", pair, [1]) == 0
    assert evaluation("accuracy", {}, pair, [0]).per_sample["predicted"] == (1,)
    assert evaluation("accuracy", {}, pair, [2]).per_sample["predicted"] == (0,)


def test_top1_and_accuracy_agree_also_where_scores_tie() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        scores, targets = draw.integers(0, 3, (40, 4)), draw.integers(0, 4, 40)
        assert value("top1", scores, targets) == value("accuracy", scores, targets)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_named_and_counted(odd: float) -> None:
    broken = SCORES.copy()
    broken[1, 0] = odd
    for metric in ("top1", "accuracy"):
        kept = evaluation(metric, {}, broken, LABELS)
        assert kept.left_out == {"prediction not finite": 1}
        assert value_of(kept) == pytest.approx(2 / 3)
        (note,) = kept.notes
        assert note.code == "left-out"
        assert note.text == "1 of 4 samples are not in the value: 1 × prediction not finite"


def test_labels_that_are_none_are_named_and_counted() -> None:
    kept = evaluation("top1", {}, SCORES, [-1, 3, np.nan, 2])
    assert kept.left_out == {"label missing (NaN)": 1, "label out of range": 2}
    assert kept.per_sample == {"target": (2,), "rank": (2,), "sample": (3,)}
    kept = evaluation("accuracy", {"num_classes": 3}, [0, 3, -1, np.nan, 1], [0, 0, 0, 0, 1])
    assert kept.left_out == {"predicted label out of range": 2, "prediction not finite": 1}
    assert value_of(kept) == 1


def test_labels_beyond_int64_do_not_wrap_round() -> None:
    assert evaluation("accuracy", {}, [0, 1], np.array([2**64 - 1, 1], dtype=np.uint64)).left_out == {
        "label out of range": 1
    }
    assert evaluation("accuracy", {}, [0, 1], [1e300, 1]).left_out == {"label out of range": 1}
    assert value("accuracy", np.array([200], dtype=np.uint8), np.array([200], dtype=np.int64)) == 1


@pytest.mark.parametrize(
    ("metric", "settings", "predictions", "targets", "said"),
    [
        ("top1", {"num_classes": 5}, SCORES, LABELS, "predictions have 3 scores a sample, but num_classes is 5"),
        ("top1", {}, SCORES, [1, 1, 2], "4 predictions but 3 targets"),
        ("top1", {}, SCORES[:, :1], LABELS, "one score a sample"),
        ("top1", {}, SCORES, np.eye(3)[LABELS], "targets are one class label a sample, not 4×3 numbers"),
        ("top1", {}, SCORES, [0.5, 1, 1, 1], "0.5 is no class label"),
        ("accuracy", {}, [0.5, 1, 1, 1], LABELS, "0.5 is no class label"),
        ("accuracy", {}, SCORES[None], LABELS[:1], "labels .n. or scores .n × classes., not 1×4×3"),
        ("top5", {}, SCORES, LABELS, "of 3 classes, 5 always hold the right one"),
        ("top5", {}, LABELS, LABELS, "needs a score per class"),
        ("top1", {}, np.zeros((0, 3)), [], "top1: there are no samples"),
        ("top1", {}, [["a"]], [0], "predictions are no real numbers"),
        ("top1", {}, [[1], [1, 2]], [0, 1], "predictions cannot be read as an array"),
        ("top1", {}, 3.0, [0], "predictions are a single number"),
        ("f1", {"average": "weighted"}, LABELS, LABELS, "average must be one of macro, micro, not 'weighted'"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    metric: str, settings: dict[str, object], predictions: Any, targets: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        evaluation(metric, settings, predictions, targets)


def test_an_evaluation_of_nothing_usable_has_no_value() -> None:
    kept = evaluation("top1", {}, np.full((2, 3), np.nan), [0, 1], data="toy")
    assert (kept.n, kept.left_out) == (0, {"prediction not finite": 2})
    with pytest.raises(
        InputError, match=r"top1 on toy has no value, all samples were left out: 2 × prediction not fin"
    ):
        value_of(kept)


def test_an_error_is_made_of_what_is_kept_for_the_metric() -> None:
    for metric, error in (("top1", "top1_err"), ("top5", "top5_err"), ("accuracy", "error_rate")):
        kept = evaluation(metric, {}, np.eye(6), [0, 1, 2, 3, 5, 4])
        turned = as_error(kept)
        assert (turned.metric, turned.direction, turned.per_sample) == (error, "lower", kept.per_sample)
        assert value_of(turned) == pytest.approx(1 - value_of(kept))
        assert as_error(turned) is turned
    with pytest.raises(InputError, match="f1 is better where it is higher, and no error is registered"):
        as_error(evaluation("f1", {}, [0], [0]))


def test_against_torchmetrics_on_random_data() -> None:
    draw = np.random.default_rng(1)
    for _ in range(60):
        classes, n = int(draw.integers(6, 12)), int(draw.integers(1, 60))
        scores, targets = draw.normal(size=(n, classes)), draw.integers(0, classes, n)
        ours = scores, targets
        theirs = torch.from_numpy(scores), torch.from_numpy(targets)
        for k in (1, 5):
            expected = peer.multiclass_accuracy(*theirs, num_classes=classes, average="micro", top_k=k)
            assert value(f"top{k}", *ours) == pytest.approx(float(expected), abs=1e-6)
        for name in ("precision", "recall"):
            for average in ("macro", "micro"):
                expected = getattr(peer, f"multiclass_{name}")(*theirs, num_classes=classes, average=average)
                assert value(name, *ours, average=average) == pytest.approx(float(expected), abs=1e-6)
        for average in ("macro", "micro"):
            expected = peer.multiclass_f1_score(*theirs, num_classes=classes, average=average)
            assert value("f1", *ours, average=average) == pytest.approx(float(expected), abs=1e-6)
        table = table_of(evaluation("confusion", {}, *ours))
        assert table is not None
        assert table.tolist() == peer.multiclass_confusion_matrix(*theirs, num_classes=classes).tolist()


def test_f1_of_a_class_follows_from_its_intersection_over_union() -> None:
    # F1 = 2·IoU / (1 + IoU), so with two classes that both occur the means follow from the classes' own.
    draw = np.random.default_rng(2)
    for _ in range(50):
        given, wanted = draw.integers(0, 2, (2, 30))
        ious = [np.sum((given == c) & (wanted == c)) / np.sum((given == c) | (wanted == c)) for c in (0, 1)]
        assert value("f1", given, wanted) == pytest.approx(np.mean([2 * iou / (1 + iou) for iou in ious]))
