"""Who may be compared: conditions are told apart by name, what nobody stated compares with nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from effbench.judge.comparable import Conditions, conditions_of, differing, listed, not_stated, remedy, told


def under(**conditions: str) -> Conditions:
    return tuple(conditions.items())


def models(*given: tuple[str, Conditions]) -> list[tuple[str, dict[str, Conditions]]]:
    return [(name, {"latency": conditions}) for name, conditions in given]


def test_what_differs_is_told_with_the_models_the_most_frequent_first() -> None:
    seen = models(
        ("a", under(batch="256", device="cuda")),
        ("b", under(batch="64", device="cuda")),
        ("c", under(batch="64", device="cuda")),
    )
    (found,) = differing(conditions_of(seen, ["latency"]))
    assert (found.condition, found.values) == ("batch", (("64", ("b", "c")), ("256", ("a",))))
    assert told([found]) == "batch differs: 64 (b, c), 256 (a)"
    assert remedy([found]) == "rank those apart with --by batch or --filter, or together with --mixed"


def test_several_differences_are_all_named() -> None:
    seen = models(*((name, under(**dict.fromkeys("pqrst", name))) for name in "ab"))
    assert told(differing(conditions_of(seen, ["latency"]))) == (
        "p differs: a (a), b (b); q differs: a (a), b (b); r differs: a (a), b (b); so do s, t"
    )


def test_many_models_and_values_are_counted() -> None:
    seen = models(*((f"m{index}", under(batch=str(index // 5))) for index in range(30)))
    line = told(differing(conditions_of(seen, ["latency"])))
    assert line.startswith("batch differs: 0 (m0, m1, m2 and 2 more), 1 (m5, m6, m7 and 2 more), ")
    assert line.endswith("and 3 more")
    assert listed([str(number) for number in range(2000)]) == "0, 1, 2 and 1,997 more"


def test_only_the_terms_that_are_read_count() -> None:
    seen = [(name, {"flops": under(input=name), "latency": under(threads="1")}) for name in "ab"]
    assert differing(conditions_of(seen, ["latency"])) == ()
    assert [one.condition for one in differing(conditions_of(seen, ["latency", "flops"]))] == ["input"]


def test_what_is_not_stated_differs_from_nothing_and_is_named() -> None:
    found = conditions_of(models(("a", under(torch="2.1")), ("b", ()), ("c", under(torch="2.1"))), ["latency"])
    assert differing(found) == ()
    (one,) = not_stated(found)
    assert (one.condition, one.unstated) == ("torch", ("b",))


conditions = st.dictionaries(st.sampled_from(["batch", "device"]), st.sampled_from("xyz"))


@given(st.lists(conditions, min_size=1, max_size=8))
def test_every_model_is_in_one_value_of_each_condition_or_does_not_state_it(stated: list[dict[str, str]]) -> None:
    seen = models(*((f"m{place}", under(**one)) for place, one in enumerate(stated)))
    for one in conditions_of(seen, ["latency"]):
        named = [name for _, names in one.values for name in names]
        assert sorted([*named, *one.unstated]) == sorted(name for name, _ in seen)
        for text, names in one.values:
            assert all(stated[int(name[1:])][one.condition] == text for name in names)
