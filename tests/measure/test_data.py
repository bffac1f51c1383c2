"""Data sets: what is found where, in which order, with which index; what does not decode; what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from effbench.errors import EffbenchError, InputError
from effbench.measure.data import Data, Request, open_data
from effbench.measure.data.preprocess import Preprocess, Steps, unchanged
from effbench.measure.data.source import Broken, Sample, Unreadable

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def opened(source: object, preprocess: Preprocess | None = None, **more: Any) -> Data:
    return open_data(Request(str(source), str(source), preprocess or unchanged(), **more))


def samples(data: Data) -> list[Sample]:
    return [item for item in data if isinstance(item, Sample)]


def painted(path: Path, color: tuple[int, ...] = RED, size: tuple[int, int] = (4, 3)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two red and one green image, one blue one in a folder below its class, and a class without an image."""
    root = tmp_path / "val"
    painted(root / "red" / "b.png")
    painted(root / "red" / "a.PNG")
    painted(root / "green" / "0.bmp", GREEN)
    painted(root / "blue" / "deep" / "x.png", BLUE)
    (root / "amber").mkdir()
    return root


# Folders


def test_a_folder_s_classes_are_its_sorted_names_and_an_empty_one_keeps_its_index(folder: Path) -> None:
    data = opened(folder)
    assert data.classes == ("amber", "blue", "green", "red")
    assert [(item.name, item.target) for item in samples(data)] == [
        ("blue/deep/x.png", 1),
        ("green/0.bmp", 2),
        ("red/a.PNG", 3),
        ("red/b.png", 3),
    ]
    assert [note.code for note in data.notes] == ["empty-class"]
    blue = samples(data)[0].input
    assert blue.shape == (3, 3, 4)  # channels, height, width
    assert blue.mean((1, 2)).tolist() == [0, 0, 1]


def test_order_and_indices_are_those_of_torchvision_s_image_folder(folder: Path) -> None:
    peer = torchvision.datasets.ImageFolder(str(folder), allow_empty=True)
    ours = samples(opened(folder))
    assert [(str(folder / item.name), item.target) for item in ours] == peer.samples


def test_what_does_not_decode_is_named_and_nothing_is_dropped(folder: Path) -> None:
    whole = (folder / "red" / "b.png").read_bytes()
    (folder / "red" / "c.png").write_bytes(whole[:-30])
    (folder / "red" / "d.png").write_bytes(b"no image at all")
    (folder / "red" / "notes.txt").write_text("x")
    (folder / "stray.png").write_bytes(whole)
    Image.fromarray(np.full((3, 4), 60000, np.uint16)).save(folder / "red" / "e.png")
    data = opened(folder)
    assert data.n == 7
    lost = [item for item in data if isinstance(item, Unreadable)]
    assert [(item.name, item.reason, item.target) for item in lost] == [
        ("red/c.png", "does not decode", 3),
        ("red/d.png", "does not decode", 3),
        ("red/e.png", "does not decode", 3),
    ]
    assert "more than 8 bits" in lost[2].why
    (note,) = [note for note in data.notes if note.code == "passed-over"]
    assert note.text.startswith("2 files are no images")
    assert "stray.png" in note.text
    assert "red/notes.txt" in note.text


def test_a_file_that_goes_away_is_missing(folder: Path) -> None:
    data = opened(folder)
    (folder / "green" / "0.bmp").unlink()
    (lost,) = [item for item in data if isinstance(item, Unreadable)]
    assert (lost.name, lost.reason) == ("green/0.bmp", "no such file")


def test_class_indices_of_the_model_may_be_stated(folder: Path) -> None:
    data = opened(folder, index={"red": 0, "green": 5, "blue": 2, "amber": 1})
    assert data.stated
    assert data.classes == ("red", "amber", "blue", "", "", "green")
    assert [item.target for item in samples(data)] == [2, 5, 0, 0]


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"red": 0}, "no index of amber, blue, green"),
        (dict.fromkeys(["red", "green", "blue", "amber"], 1), "of its own"),
    ],
)
def test_class_indices_that_cannot_be_are_refused(folder: Path, index: Mapping[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        opened(folder, index=index)


def test_a_folder_without_classes_or_images_is_refused(tmp_path: Path) -> None:
    painted(tmp_path / "a" / "x.png")
    with pytest.raises(InputError, match="no class sub-folders"):
        opened(tmp_path / "a")
    (tmp_path / "b" / "cat").mkdir(parents=True)
    with pytest.raises(InputError, match="no image in its 1 class folders"):
        opened(tmp_path / "b")


# Tables


def table(folder: Path, text: str) -> Path:
    for name in ("p.png", "q.png"):
        painted(folder / "images" / name, size=(40, 20))
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_labels_are_numbers_or_sorted_names(tmp_path: Path) -> None:
    numbers = opened(table(tmp_path, "path,label\nimages/p.png,7\nimages/q.png,2\n"))
    assert ([item.target for item in samples(numbers)], numbers.classes) == ([7, 2], ())
    names = opened(table(tmp_path, "label,path\nfox,images/p.png\ncat, images/q.png\n"))
    assert ([item.target for item in samples(names)], names.classes) == ([1, 0], ("cat", "fox"))
    (note,) = names.notes
    assert "sorted order: 0 cat, 1 fox; --class-index states another" in note.text
    assert numbers.notes == opened(tmp_path / "table.csv", index={"cat": 3, "fox": 1}).notes == ()
    assert [item.name for item in samples(names)] == ["images/p.png", "images/q.png"]


def test_columns_of_other_names_are_chosen(tmp_path: Path) -> None:
    file = table(tmp_path, "file,kind,path\nimages/p.png,3,no\n")
    assert [item.target for item in samples(opened(file, args={"path": "file", "label": "kind"}))] == [3]


def test_keypoints_move_with_the_image(tmp_path: Path) -> None:
    file = table(tmp_path, "path,x0,y0,v0,x1,y1\nimages/p.png,10,5,1,,\nimages/q.png,20,10,0,40,0\n")
    (stored, _) = samples(opened(file))
    assert stored.target.tolist() == [[10, 5, 1], [0, 0, 0]]
    # 40 × 20 pixels become 64 × 32 by the shorter side; the crop of 32 × 32 begins at x = (64 − 32) / 2 = 16.
    data = opened(file, Steps(resize=(32,), crop=(32, 32)).preprocess())
    first, second = samples(data)
    assert first.input.shape == (3, 32, 32)
    assert data.size == (32, 32)
    assert data.pixels
    assert first.target[0].tolist() == [10 * 1.6 - 16, 5 * 1.6, 1]
    assert first.target[1, 2] == 0
    assert second.target.tolist() == [[20 * 1.6 - 16, 10 * 1.6, 0], [40 * 1.6 - 16, 0, 1]]


def test_a_bright_pixel_goes_where_its_keypoint_goes(tmp_path: Path) -> None:
    image = Image.new("L", (40, 20))
    image.paste(255, (12, 8, 16, 12))  # its middle is at (14, 10)
    image.save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("path,x0,y0\na.png,14,10\n")
    for steps in (Steps(resize=(40, 60)), Steps(resize=(30,), crop=(20, 44)), Steps(crop=(48, 64))):
        (sample,) = samples(opened(tmp_path / "t.csv", steps.preprocess()))
        light = sample.input[0].double()
        rows, columns = (torch.arange(size).double() + 0.5 for size in light.shape)
        middle = ((light.sum(0) @ columns) / light.sum(), (light.sum(1) @ rows) / light.sum())
        assert [float(value) for value in middle] == pytest.approx(sample.target[0, :2].tolist(), abs=0.02)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\n", "no rows"),
        ("file,label\na,1\n", "no column 'path'"),
        ("path\na\n", "needs a column 'label'"),
        ("path,label,x0,y0\na,1,2,3\n", "one of the two"),
        ("path,x0,y0,x2,y2\na,1,2,3,4\n", "without a gap"),
        ("path,x0,v0\na,1,2\n", "without a gap"),
        ("path,label\na,1\nb\n", ":3: has not as many cells"),
        ("path,label\na,1,2\n", ":2: has not as many cells"),
        ("path,label\na,\n", ":2: the label is empty"),
        ("path,label\na,1\nb,cat\n", ":3: label 'cat' stands among numbers: write all as whole numbers from 0, or all"),
        ("path,label\na,cat\nb,1\n", ":3: label '1' stands among words: write all"),
        ("", "is empty: it needs a header, such as path,label"),
        ("path,x0,y0\na,1,left\n", ":2: y0 is 'left'"),
        ("path,x0,y0\na,1,nan\n", ":2: y0 is 'nan'"),
        ("path,x0,y0\na,,3\n", ":2: x0 is ''"),
        ("path,x0,y0,v0\na,,,1\n", ":2: x0 and y0 are empty"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=r"table\.csv") as caught:
        opened(table(tmp_path, text))
    assert said in str(caught.value)


# Arrays


def test_rows_of_arrays_are_samples(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, x=np.arange(12.0).reshape(3, 4), y=np.array([0, 1, 2]))
    found = samples(opened(file))
    assert [item.target for item in found] == [0, 1, 2]
    assert found[1].input.dtype == torch.float32
    assert found[1].input.tolist() == [4, 5, 6, 7]
    np.savez(file, inputs=np.zeros((2, 3), np.int64), labels=np.ones(2))
    (first, _) = samples(opened(file, args={"x": "inputs", "y": "labels"}))
    assert first.input.dtype == torch.int64


def test_words_in_arrays_are_numbered_in_sorted_order_unless_it_is_stated(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, x=np.zeros((3, 4), np.uint8), y=np.array([["fox"], ["cat"], ["fox"]]))
    found = opened(file)
    assert [item.target.tolist() for item in samples(found)] == [[1], [0], [1]]
    assert (found.classes, found.stated, [note.code for note in found.notes]) == (
        ("cat", "fox"),
        False,
        ["label-order"],
    )
    found = opened(file, index={"fox": 0, "cat": 2})
    assert [item.target.tolist() for item in samples(found)] == [[0], [2], [0]]
    assert (found.classes, found.stated, found.notes) == (("fox", "", "cat"), True, ())
    np.savez(file, x=np.zeros((2, 4)), y=np.array(["1", "0"]))
    assert [item.target for item in samples(opened(file))] == [1, 0]
    np.savez(file, x=np.zeros((2, 4)), y=np.array(["été".encode(), b"cat"]))
    assert opened(file).classes == ("cat", "été")
    np.savez(file, x=np.zeros((2, 4)), y=np.array([b"\xff", b"cat"]))
    with pytest.raises(InputError, match=r"data\.npz: y: holds bytes that are no text in UTF-8"):
        opened(file)
    np.savez(file, x=np.zeros((2, 4)), y=np.array(["cat", "0"]))
    with pytest.raises(InputError, match=r"data\.npz: row 1: label '0' stands among words"):
        opened(file)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "it is empty"), (b"\x89PNG", "numpy did not"), (b"PK\3\4", "cut off")]
)
def test_what_is_no_npz_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.npz: cannot be read as \.npz: .*{said}"):
        opened(tmp_path / "a.npz")


def test_bytes_of_an_image_s_shape_are_images(tmp_path: Path) -> None:
    file = tmp_path / "digits.npz"
    np.savez(file, x=np.full((2, 28, 28), 51, np.uint8), y=np.zeros(2, np.int64))
    (first, _) = samples(opened(file))
    assert first.input.shape == (1, 28, 28)
    assert first.input.unique().tolist() == pytest.approx([51 / 255])
    (first, _) = samples(opened(file, Steps(resize=(14, 14), mode="RGB").preprocess()))
    assert first.input.shape == (3, 14, 14)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros(3)}, "no array 'y' but x: --data-arg y=NAME"),
        ({"x": np.zeros(3), "y": np.zeros(2)}, "3 and 2 rows"),
        ({"x": np.zeros(0), "y": np.zeros(0)}, "no samples"),
        (
            {"x": np.array([{}]), "y": np.zeros(1)},
            "it holds Python objects: save numbers, or words as array.astype.str.",
        ),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(InputError, match=said):
        opened(tmp_path / "data.npz")


def test_steps_for_images_are_refused_for_other_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 3, 4, 4)), y=np.zeros(2))
    with pytest.raises(InputError, match="float64 and 3×4×4 are no images to preprocess"):
        opened(tmp_path / "data.npz", Steps(crop=(2, 2)).preprocess())


# Data sets of torch


SETS = """
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

class Squares(Dataset):
    def __init__(self, n=3):
        self.n = n
    def __len__(self):
        return self.n
    def __getitem__(self, i):
        return torch.full((2,), float(i)), i * i

def images(size=4):
    return [(Image.new("P", (size, 3)), 0)]

ready = Squares(2)
empty = Squares(0)
number = 7

class Endless(IterableDataset):
    def __iter__(self):
        yield 1

class Worded(Squares):
    def __getitem__(self, i):
        return torch.zeros(2), "cat"

class Odd(Squares):
    def __getitem__(self, i):
        return {"x": i}

class Raising(Squares):
    def __getitem__(self, i):
        raise KeyError("gone")

def broken():
    raise RuntimeError("no disk")
"""


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    (tmp_path / "sets.py").write_text(SETS)
    return tmp_path / "sets.py"


def test_a_class_a_function_and_an_instance_give_a_data_set(sets: Path) -> None:
    assert [item.target for item in samples(opened(f"{sets}:Squares"))] == [0, 1, 4]
    assert opened(f"{sets}:Squares", args={"n": 5}).n == 5
    assert [item.input.tolist() for item in samples(opened(f"{sets}:ready"))] == [[0, 0], [1, 1]]
    (image,) = samples(opened(f"{sets}:images"))
    assert image.input.shape == (3, 3, 4)  # a palette's indices are no brightness


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "say which data set"),
        (":Square", "did you mean Squares"),
        (":number", "a int is no data set"),
        (":empty", "has no samples"),
        (":Endless", "no length or no samples by place"),
        (":broken", "raised RuntimeError: no disk"),
    ],
)
def test_what_is_no_map_style_data_set_is_refused(sets: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        opened(f"{sets}{name}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Odd", "is a dict: a sample must be a pair"),
        ("Raising", "KeyError: 'gone'"),
        ("Worded", "its target is the text 'cat': let the data set give the model's index of it"),
    ],
)
def test_a_sample_that_is_none_is_told_with_its_place(sets: Path, name: str, said: str) -> None:
    item = opened(f"{sets}:{name}").samples[1]
    assert isinstance(item, Broken)
    assert (item.name, said in item.why) == ("sample 1", True)


def test_torchvision_s_data_sets_are_found_by_name() -> None:
    data = opened("torchvision:FakeData", args={"size": 2, "image_size": (3, 8, 8), "num_classes": 4})
    assert data.name == "FakeData"
    assert [item.input.shape for item in samples(data)] == [(3, 8, 8)] * 2


@pytest.mark.parametrize(
    ("source", "more", "said"),
    [
        ("torchvision:MNIS", {}, "did you mean"),
        ("torchvision:mnist", {}, "did you mean .*MNIST"),
        ("torchvision:MNIST", {}, "with --root DIR"),
        ("torchvision:MNIST", {"root": Path("nowhere")}, "not found under nowhere: .*pass --download"),
        ("torchvision:MNIST", {"root": Path("nowhere"), "split": "val"}, "it has train and test"),
        ("torchvision:ImageNet", {"root": Path("nowhere")}, "torchvision cannot fetch it"),
        ("torchvision:ImageNet", {"root": Path("nowhere"), "download": True}, "torchvision cannot fetch it"),
        ("torchvision:FakeData", {"args": {"sise": 2}}, "no argument 'sise'"),
        ("nowhere", {}, "no such folder of images"),
        ("/dev/null", {}, "is no folder of images; a data set is also"),
        ("nowhere.csv", {}, "no such file"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_do(
    source: str, more: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EffbenchError, match=said) as caught:
        opened(source, **more)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


# Digests


def test_a_digest_is_of_what_is_stored_and_not_of_where_or_how_it_is_read(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "other"
    moved.parent.mkdir()
    folder.rename(moved)
    digest = opened(moved).digest()
    moved.rename(folder)
    assert opened(folder).digest() == digest
    assert opened(folder, Steps(resize=(9, 9), mode="L").preprocess()).digest() == digest
    painted(folder / "red" / "b.png", (254, 0, 0))  # another image of the same class
    assert opened(folder).digest() != digest
    painted(folder / "red" / "b.png")
    assert opened(folder).digest() == digest
    painted(folder / "amber" / "b.png", RED)  # one sample more
    assert opened(folder).digest() != digest


def test_moved_keypoints_leave_the_digest_as_it_is(tmp_path: Path) -> None:
    file = table(tmp_path, "path,x0,y0\nimages/p.png,10,5\n")
    assert opened(file).digest() == opened(file, Steps(resize=(10, 10)).preprocess()).digest()


def test_where_inputs_are_not_known_it_is_that_of_the_targets_in_a_file(sets: Path, tmp_path: Path) -> None:
    from effbench.predictions import evaluate_files

    np.save(tmp_path / "answers.npy", np.array([0, 1, 4]))
    np.save(tmp_path / "right.npy", np.array([0, 1, 4]))
    (found,) = evaluate_files(tmp_path / "answers.npy", tmp_path / "right.npy", ["accuracy"])
    assert opened(f"{sets}:Squares").digest() == found.digest


def test_a_data_set_under_a_root_is_read_by_its_held_out_part(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, label in (("t10k", 7), ("train", 3)):
        # The format of MNIST: a magic number that says bytes and dimensions, the sizes, the bytes.
        images = np.full((2, 28, 28), 255, np.uint8)
        sizes = b"".join(size.to_bytes(4, "big") for size in images.shape)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + sizes + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, label, label]))
    data = opened("torchvision:MNIST", root=tmp_path)
    assert (data.name, data.n, len(data.classes)) == ("MNIST test", 2, 10)
    assert [(item.input.shape, item.input.min(), item.target) for item in samples(data)] == [((1, 28, 28), 1.0, 7)] * 2
    assert [item.target for item in samples(opened("torchvision:MNIST", root=tmp_path, split="train"))] == [3, 3]
    assert data.digest() != opened("torchvision:MNIST", root=tmp_path, split="train").digest()
