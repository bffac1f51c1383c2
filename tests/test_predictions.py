"""Files of predictions and targets: every format, matching by id, and what is wrong with a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import InputError, UnknownName
from effbench.metrics import Accumulator, digest_of, evaluation, positions_of, value_of
from effbench.metrics.words import by_index, compared
from effbench.prediction_files import read_array, read_rows
from effbench.predictions import accumulate_files, evaluate_files

SCORES = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
POINTS = np.array([[[1.0, 2, 2], [3, 4, 0]], [[5, 6, 1], [7, 8, 2]]])


def csv(path: Path, text: str) -> Path:
    path.write_text("\n".join(text.split()) + "\n")
    return path


def write(path: Path, values: Any, ids: list[Any] | None = None) -> Path:
    """Writes an array in the format of the path's ending; in tables as numbered columns, or one."""
    array = np.asarray(values)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        if ids is None:
            np.savez(path, values=array)
        else:
            np.savez(path, values=array, id=np.array(ids))
    else:
        columns = {"label": array} if array.ndim == 1 else {f"p{c}": array[:, c] for c in range(array.shape[1])}
        frame = pd.DataFrame(columns if ids is None else {"id": ids, **columns})
        if path.suffix == ".csv":
            frame.to_csv(path, index=False)
        elif path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            path.write_text("\n".join(json.dumps(row) for row in frame.to_dict("records")))
    return path


formats = pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet", ".jsonl"])


@formats
@pytest.mark.parametrize("values", [[3, 1, 2], [0.1, 1 / 3, 1e-300], SCORES], ids=["labels", "numbers", "scores"])
def test_every_format_gives_back_what_was_written(tmp_path: Path, ending: str, values: Any) -> None:
    assert np.array_equal(read_array(write(tmp_path / f"file{ending}", values)), np.asarray(values))


@pytest.mark.parametrize("ending", [".npz", ".csv", ".parquet", ".jsonl"])
def test_every_format_with_names_has_ids(tmp_path: Path, ending: str) -> None:
    rows = read_rows(write(tmp_path / f"file{ending}", [3, 1], ["b", "a"]))
    assert rows.ids == ("b", "a")
    assert rows.values.tolist() == [3, 1]
    assert read_rows(write(tmp_path / f"numbers{ending}", [3, 1], [12, 7])).ids == ("12", "7")


def test_bytes_in_arrays_are_words_in_utf_8(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", label=np.array(["été".encode(), b"cat"]), id=np.array([b"i1", b"i2"]))
    rows = read_rows(tmp_path / "a.npz")
    assert (rows.values.tolist(), rows.ids) == (["été", "cat"], ("i1", "i2"))
    np.save(tmp_path / "b.npy", np.array([b"\xff", b"cat"]))
    with pytest.raises(InputError, match=r"b\.npy: holds bytes that are no text in UTF-8"):
        read_rows(tmp_path / "b.npy")


def test_ids_are_known_in_any_case(tmp_path: Path) -> None:
    assert read_rows(csv(tmp_path / "a.csv", "Id,label b,3 a,1")).ids == ("b", "a")


def test_an_index_of_ids_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"label": [3, 1]}, index=pd.Index(["b", "a"], name="id"))
    frame.to_parquet(tmp_path / "file.parquet")
    assert read_rows(tmp_path / "file.parquet").ids == ("b", "a")


def test_ids_keep_their_leading_zeros(tmp_path: Path) -> None:
    assert read_rows(csv(tmp_path / "a.csv", "id,label 007,1 7,2")).ids == ("007", "7")
    (tmp_path / "a.jsonl").write_text('{"id": "007", "label": 1}\n{"id": "7", "label": 2}\n')
    assert read_rows(tmp_path / "a.jsonl").ids == ("007", "7")


def test_columns_of_keypoints_are_points(tmp_path: Path) -> None:
    file = csv(tmp_path / "a.csv", "id,v1,x0,y0,v0,x1,y1 a,0,1,2,2,3,4 b,2,5,6,1,7,8")
    assert np.array_equal(read_array(file), POINTS)
    file = csv(tmp_path / "b.csv", "x_0,y_0,x_1,y_1 1,2,3,4 5,6,7,8")
    assert np.array_equal(read_array(file), POINTS[:, :, :2])


def test_numbered_columns_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    head = ",".join(f"logit_{c}" for c in reversed(range(12)))
    file = csv(tmp_path / "a.csv", f"{head} {','.join(map(str, reversed(range(12))))}")
    assert read_array(file).tolist() == [list(range(12))]
    assert read_array(csv(tmp_path / "b.csv", "1,0 5,6")).tolist() == [[6, 5]]


def test_a_column_is_chosen_by_its_name(tmp_path: Path) -> None:
    file = csv(tmp_path / "a.csv", "id,label,p0,p1 a,1,.25,.75")
    assert read_array(file, "label").tolist() == [1]
    assert read_array(file, "p").tolist() == [[0.25, 0.75]]
    assert read_array(file, "p1").tolist() == [0.75]
    np.savez(tmp_path / "a.npz", one=[1], two=[2])
    assert read_array(tmp_path / "a.npz", "two").tolist() == [2]


def test_lists_in_a_column_are_arrays(tmp_path: Path) -> None:
    lines = [json.dumps({"id": str(n), "points": point.tolist()}) for n, point in enumerate(POINTS)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert np.array_equal(read_array(tmp_path / "a.jsonl"), POINTS)
    pd.DataFrame({"points": POINTS.tolist()}).to_parquet(tmp_path / "a.parquet")
    assert np.array_equal(read_array(tmp_path / "a.parquet"), POINTS)


def test_an_empty_cell_is_nan(tmp_path: Path) -> None:
    assert np.isnan(read_array(csv(tmp_path / "a.csv", "x0,y0 1,2 ,4"))[1, 0, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label 1 cat", "sample 2 of column label is 'cat', which is no number"),
        ("label,other 1,2", "say which column to read, with --prediction-column NAME or .*: it has label, other"),
        ("p0,p2 1,2", "p2 is there, but no column with number 1"),
        ("p0,p00 1,2", "columns p0 and p00 have one number"),
        ("x0,y0,x1 1,2,3", "keypoints need as many of each: 2 columns x, 1 columns y"),
        ("id,label a,1 a,2 b,3", "1 ids occur more than once: a"),
        ("id,label a,1 ,2", "1 of 2 samples have no id"),
        ("label", "there are no samples in it"),
        ("id a", "there are no columns in it besides ids"),
        ("label 1 2,3", "cannot be read as .csv: Error tokenizing data.*Expected 1 fields in line 3, saw 2"),
        ("", "is empty: it has no header"),
        ("p0,p1 .1,.2,.7 .3,.4,.3", "rows have more cells than the header, which has 2"),
        ("p0,p1,p2 .1,.2,.7 .3,.4", ":3: has 2 of the header's 3 cells: is the file cut off"),
        ("p0;p1 .1;.9", "columns are separated by ';': write commas"),
        ("label cat 1 dog", "sample 1 of column label is 'cat', which is no number as others are: write all as whole"),
        ("3 1 2", "its first line, 3, is no header: write one, such as label"),
        ("0 1 0", "its first line, 0, is no header"),
        ("cat dog cat", "its first line, cat, is no header"),
        ("0.1,0.9 0.2,0.8", "its first line, 0.1, 0.9, is no header"),
        ("p0,p1 1,cat", "sample 1 of column p1 is 'cat', which is no number"),
    ],
)
def test_a_table_that_is_wrong_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        read_array(csv(tmp_path / "a.csv", text))
    assert "a.csv" in str(told.value)
    assert "\n" not in str(told.value)


CONTENTS = ["empty", "blank", "half", "image", ".npy", ".npz", ".csv", ".parquet", ".jsonl"]


@formats
@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_of_another_content_is_one_line_without_names_of_libraries(
    tmp_path: Path, ending: str, content: str
) -> None:
    whole = write(tmp_path / f"whole{ending}", SCORES).read_bytes()
    held = {
        "empty": b"",
        "blank": b"\n \n",
        "image": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "half": whole[: len(whole) // 2],
    }
    if content in (ending, "half") and ending == ".csv":
        return  # text that is cut within a number is text
    file = tmp_path / f"file{ending}"
    file.write_bytes(held[content] if content in held else write(tmp_path / f"other{content}", SCORES).read_bytes())
    if content == ending:
        assert read_array(file).shape == SCORES.shape
        return
    with pytest.raises(InputError, match=rf"file\{ending}:") as told:
        read_array(file)
    assert "\n" not in str(told.value)
    assert not re.search(r"\w+Error|Exception|BadZip|Arrow|pickle", str(told.value))


@formats
def test_a_folder_is_no_file(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"folder{ending}").mkdir()
    with pytest.raises(InputError, match=rf"folder\{ending}: is a folder, and no file"):
        read_array(tmp_path / f"folder{ending}")


def test_a_file_that_is_wrong_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"objects\.npy: .* it holds Python objects: save numbers, or words as array"):
        read_array(tmp_path / "objects.npy")
    with pytest.raises(InputError, match=r"a\.txt: cannot be read by its ending: use \.npy, \.npz, \.csv"):
        read_array(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"missing\.csv: no such file"):
        read_array(tmp_path / "missing.csv")
    np.savez(tmp_path / "two.npz", one=[1], two=[2])
    with pytest.raises(
        InputError, match="say which array to read, with --prediction-column NAME or --target-column NAME: one, two"
    ):
        read_array(tmp_path / "two.npz")
    with pytest.raises(InputError, match="has no array 'three': one, two"):
        read_array(tmp_path / "two.npz", "three")
    np.savez(tmp_path / "ids.npz", values=[1, 2], id=["a"])
    with pytest.raises(InputError, match="1 ids for 2 samples"):
        read_array(tmp_path / "ids.npz")
    with pytest.raises(InputError, match="no column 'q': it has p0"):
        read_array(csv(tmp_path / "p.csv", "p0 1"), "q")
    with pytest.raises(InputError, match="holds one array without a name"):
        read_array(write(tmp_path / "one.npy", [1]), "q")
    (tmp_path / "b.jsonl").write_text('{"label": 1}\n\n[1]\n')
    with pytest.raises(InputError, match=r"b\.jsonl: line 3 is no object"):
        read_array(tmp_path / "b.jsonl")
    (tmp_path / "ragged.jsonl").write_text('{"p": [1, 2]}\n{"p": [1]}\n')
    with pytest.raises(InputError, match="lists in column p differ in shape: 1 and 2"):
        read_array(tmp_path / "ragged.jsonl")


@formats
def test_files_in_one_order_are_evaluated(tmp_path: Path, ending: str) -> None:
    predictions = write(tmp_path / f"predictions{ending}", SCORES)
    targets = write(tmp_path / f"targets{ending}", [1, 1, 2])
    top1, f1 = evaluate_files(predictions, targets, ["top1", "f1"], {"average": "micro"})
    assert value_of(top1) == value_of(f1) == 2 / 3
    assert (top1.data, top1.digest, top1.notes) == (f"targets{ending}", digest_of([np.array([1, 1, 2])]), ())
    assert f1.settings == {"num_classes": 3, "average": "micro"}


def test_rows_are_matched_by_id(tmp_path: Path) -> None:
    predictions = csv(tmp_path / "p.csv", "id,label c,2 a,1 x,9 b,0")
    targets = write(tmp_path / "t.jsonl", [1, 1, 2, 0], ["a", "b", "c", "d"])
    (kept,) = evaluate_files(predictions, targets, ["accuracy"])
    # a: 1 for 1, b: 0 for 1, c: 2 for 2; d has no prediction, x no target.
    assert kept.per_sample == {"target": (1, 1, 2), "predicted": (1, 0, 2), "sample": (0, 1, 2)}
    assert value_of(kept) == 2 / 3
    assert kept.left_out == {"no prediction with its id": 1}
    assert {note.code: note.text for note in kept.notes} == {
        "left-out": "1 of 4 samples are not in the value: 1 × no prediction with its id",
        "missing-predictions": "1 ids: d",
        "unmatched-predictions": "1 predictions have no target: x",
    }


def test_positions_are_those_of_the_targets(tmp_path: Path) -> None:
    predictions = csv(tmp_path / "p.csv", "id,label c,2 b,1")
    targets = csv(tmp_path / "t.csv", "id,label a,1 b,1 c,2")
    (kept,) = evaluate_files(predictions, targets, ["accuracy"])
    assert positions_of(kept).tolist() == [1, 2]


def test_files_that_do_not_match_are_refused(tmp_path: Path) -> None:
    three = csv(tmp_path / "three.csv", "label 1 2 3")
    two = csv(tmp_path / "two.csv", "id,label a,1 b,2")
    others = csv(tmp_path / "others.csv", "id,label c,1 d,2")
    with pytest.raises(InputError, match=r"three\.csv has 3 samples and .*two\.csv 2: they must be equally many"):
        evaluate_files(three, two, ["accuracy"])
    with pytest.raises(InputError, match=r"no id of .*two\.csv \(a, b\) is one of .*others\.csv \(c, d\)"):
        evaluate_files(two, others, ["accuracy"])
    with pytest.raises(UnknownName, match="unknown metric 'acuracy'"):
        evaluate_files(two, two, ["acuracy"])
    with pytest.raises(UnknownName, match="unknown setting of accuracy 't'"):
        evaluate_files(two, two, ["accuracy"], {"t": 1})


def test_ids_on_one_side_are_told(tmp_path: Path) -> None:
    plain = write(tmp_path / "p.npy", [1, 2])
    named = csv(tmp_path / "t.csv", "id,label a,1 b,2")
    (kept,) = evaluate_files(plain, named, ["accuracy"])
    assert value_of(kept) == 1
    assert [note.code for note in kept.notes] == ["matched-by-order"]
    assert kept.notes[0].text == f"samples were matched by their order: only {named} has ids"


def test_keypoints_from_columns(tmp_path: Path) -> None:
    predictions = csv(tmp_path / "p.csv", "x0,y0,x1,y1 4,6,0,0 5,6,7,8")
    targets = csv(tmp_path / "t.csv", "x0,y0,v0,x1,y1,v1 1,2,2,3,4,0 5,6,1,7,8,2")
    (kept,) = evaluate_files(predictions, targets, ["pixel_error"], {"width": 10, "height": 10, "normalized": 0})
    assert value_of(kept) == (5 + 0 + 0) / 3


# Words


def test_the_numbering_that_pandas_writes_is_no_column(tmp_path: Path) -> None:
    pd.DataFrame({"label": [3, 1]}).to_csv(tmp_path / "a.csv")
    assert read_array(tmp_path / "a.csv").tolist() == [3, 1]
    assert read_array(csv(tmp_path / "b.csv", ",p0 7,1 8,2"), "p0").tolist() == [1, 2]
    with pytest.raises(InputError, match="say which column"):
        read_array(csv(tmp_path / "b.csv", ",label 7,1 8,2"))


WORDS = np.array(["cat", "None", "cat", "wolf", "NA"])
WORDED = np.array(["cat", "cat", "None", "dog", "NA"])


@formats
def test_words_are_compared_as_words(tmp_path: Path, ending: str) -> None:
    predictions, targets = write(tmp_path / f"p{ending}", WORDS), write(tmp_path / f"t{ending}", WORDED)
    accuracy = Accumulator("accuracy")
    answered = accumulate_files(predictions, targets, [accuracy])
    (kept,) = answered.evaluations
    # Sorted targets are NA, None, cat, dog; wolf, which is only predicted, comes behind.
    assert answered.classes == ("NA", "None", "cat", "dog", "wolf")
    assert kept.per_sample == {"target": (2, 2, 1, 3, 0), "predicted": (2, 1, 2, 4, 0)}
    assert value_of(kept) == 2 / 5
    assert [note.text for note in kept.notes] == ["no target has the labels wolf, which are predicted"]
    assert kept.digest == digest_of([np.array([2, 2, 1, 3, 0])])  # whatever is predicted


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcdef")), min_size=1))
def test_words_give_what_their_numbers_give(pairs: list[tuple[str, str]]) -> None:
    wanted, answers = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    if not set(wanted) & set(answers):
        with pytest.raises(InputError, match="no label of p"):
            compared(answers, wanted, {}, ("p", "t"))
        return
    found = compared(answers, wanted, {}, ("p", "t"))
    for metric in ("accuracy", "f1", "recall"):
        expected = evaluation(metric, {}, [ord(word) for word in answers], [ord(word) for word in wanted])
        assert value_of(evaluation(metric, {}, found.predictions, found.targets)) == pytest.approx(value_of(expected))
    assert [found.classes[int(place)] for place in found.predictions] == answers.tolist()


def test_a_missing_word_is_left_out_and_counted(tmp_path: Path) -> None:
    targets = csv(tmp_path / "t.csv", "id,label a,cat b,dog c, d,dog")
    (tmp_path / "p.jsonl").write_text(
        "\n".join(
            json.dumps({"id": key, "label": word})
            for key, word in zip("abcd", ["cat", None, "cat", "cat"], strict=True)
        )
    )
    (kept,) = evaluate_files(tmp_path / "p.jsonl", targets, ["accuracy"])
    assert kept.left_out == {"label missing (NaN)": 1, "prediction not finite": 1}
    assert value_of(kept) == 1 / 2


def test_scores_are_of_sorted_words_where_there_are_as_many(tmp_path: Path) -> None:
    targets = csv(tmp_path / "t.csv", "label fox cat dog")
    (kept,) = evaluate_files(write(tmp_path / "p.npy", SCORES), targets, ["top1"])
    assert list(kept.per_sample["target"]) == [2, 0, 1]
    (note,) = kept.notes
    assert note.text.startswith("labels are words, taken for the model's outputs in sorted order: 0 cat, 1 dog, 2 fox;")
    two = csv(tmp_path / "two.csv", "label fox cat fox")
    with pytest.raises(
        InputError, match=r"two.csv has 2 words for labels \(cat, fox\) and .*p.npy 3 scores a sample: "
    ):
        evaluate_files(tmp_path / "p.npy", two, ["top1"])
    index = {"fox": 1, "cat": 0, "dog": 2}
    (stated,) = accumulate_files(tmp_path / "p.npy", two, [Accumulator("top1")], index=index).evaluations
    assert list(stated.per_sample["target"]) == [1, 0, 1]
    assert stated.notes == ()


def test_words_beside_numbers_need_stated_indices(tmp_path: Path) -> None:
    words, digits = csv(tmp_path / "w.csv", "label fox cat dog"), csv(tmp_path / "n.csv", "label 5 1 9")
    for one, other in ((words, digits), (digits, words)):
        with pytest.raises(
            InputError, match=r"w\.csv has words for labels \(cat, dog, fox\) and .*n\.csv numbers: .*--class"
        ):
            evaluate_files(one, other, ["accuracy"])
        found = accumulate_files(one, other, [Accumulator("accuracy")], index={"fox": 5, "cat": 1, "dog": 8})
        assert value_of(found.evaluations[0]) == 2 / 3
    with pytest.raises(InputError, match="--class-index has no index of dog"):
        accumulate_files(words, digits, [Accumulator("accuracy")], index={"fox": 5, "cat": 1})
    with pytest.raises(InputError, match=r"--class-index has nowhere to go: .* hold no words"):
        accumulate_files(digits, digits, [Accumulator("accuracy")], index={"fox": 5})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['"cat"', "1"], "sample 1 of column p is 'cat', which is no number as others are"),
        (["1", '"cat"'], "sample 2 of column p is 'cat', which is no number as others are"),
        (['"cat"', '{"a": 1}'], "sample 2 of column p is {'a': 1}, which is neither a number nor a word"),
        (['["cat"]', '["dog"]'], "lists in column p hold what is no number"),
    ],
)
def test_what_is_neither_words_nor_numbers_is_told(tmp_path: Path, lines: list[str], said: str) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(f'{{"p": {line}}}' for line in lines))
    with pytest.raises(InputError, match=said):
        read_array(tmp_path / "a.jsonl")


def test_dates_are_no_labels(tmp_path: Path) -> None:
    pd.DataFrame({"label": pd.to_datetime(["2020-01-01"])}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="column label holds dates"):
        read_array(tmp_path / "a.parquet")


def test_words_are_no_numbers(tmp_path: Path) -> None:
    words = csv(tmp_path / "w.csv", "label fox cat")
    with pytest.raises(InputError, match="mse compares numbers, and words are given: cat, fox"):
        evaluate_files(words, words, ["mse"])
    with pytest.raises(InputError, match="words of shape 1×2: a label is one word a sample"):
        read_array(write(tmp_path / "w.npy", [["cat", "dog"]]))


def test_an_index_that_would_fill_memory_is_refused() -> None:
    assert by_index(["cat"], [2]) == ("", "", "cat")
    with pytest.raises(InputError, match="99999999999999 is no index of a class: it must be below 10,000,000"):
        by_index(["cat"], [99_999_999_999_999])
