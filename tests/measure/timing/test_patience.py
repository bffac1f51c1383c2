"""When what was disturbed is measured again, step by step."""

from __future__ import annotations

from effbench.measure.timing.patience import Patience


def test_what_nothing_disturbed_is_taken() -> None:
    assert not Patience().wants_again(False)


def test_two_in_a_row_in_vain_end_it() -> None:
    patience = Patience()
    for _ in range(2):
        assert patience.wants_again(True)
        patience.saw_again(True)
    assert not patience.wants_again(True)


def test_a_second_time_that_helped_and_a_clean_first_one_begin_anew() -> None:
    for clean in ("second", "first"):
        patience = Patience(in_vain=1)
        if clean == "second":
            patience.saw_again(False)
        else:
            assert not patience.wants_again(False)
        for _ in range(2):
            assert patience.wants_again(True)
            patience.saw_again(True)
        assert not patience.wants_again(True)
