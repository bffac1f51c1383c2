"""A model over a data set: answers worked out by hand, any batch, the model as it was, what is left out and refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import beta
from torch import nn
from torch.utils.data import Dataset, TensorDataset

import effbench as eb
from effbench.errors import EffbenchError, InputError, ModelError
from effbench.evaluation_runs import Opening
from effbench.evaluations import choices, interval_of
from effbench.measure.data.chosen import Wanted
from effbench.measure.evaluate import Progress
from effbench.measure.source import Loaded, runnable
from effbench.measure.trained import differs_when_built_again, read_state
from effbench.records import Evaluation, Record
from effbench.store import Store


class Brightest(nn.Module):
    """Scores of the classes blue, green and red: how bright an image is in each."""

    calls: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3).flip(0))
        self.register_buffer("calls", torch.zeros(1))
        self.drop = nn.Dropout(0.9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        scores: torch.Tensor = self.drop(x.mean((2, 3))) @ self.weight.T
        return scores


COLORS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images of each colour; one of "red" is blue, one of "green" does not decode."""
    for name, color in COLORS.items():
        (tmp_path / "val" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), color).save(tmp_path / "val" / name / f"{number}.png")
    Image.new("RGB", (8, 8), COLORS["blue"]).save(tmp_path / "val" / "red" / "3.png")
    (tmp_path / "val" / "green" / "1.png").write_bytes(b"\x89PNG")
    return tmp_path / "val"


def pairs(*of: Any) -> Dataset[Any]:
    """A data set of pairs."""
    found: Any = list(of)
    return cast(Dataset[Any], found)


def test_a_value_is_that_of_hand_arithmetic(folder: Path) -> None:
    found = eb.evaluate(Brightest(), str(folder), ["top1", "error_rate", "recall"])
    assert (found.name, found.spec, found.data, found.asked) == ("Brightest", None, "val", 12)
    assert found.value("top1") == pytest.approx(10 / 11)
    assert found.value("error_rate") == pytest.approx(1 / 11)
    assert found.value("recall") == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert found.classes == ("blue", "green", "red")
    (top1, *_) = found.evaluations
    assert (top1.n, dict(top1.left_out)) == (11, {"does not decode": 1})
    assert list(top1.per_sample["sample"]) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert [(name, reason) for name, reason, _ in found.unreadable] == [("green/1.png", "does not decode")]
    assert found.left_out() == "top1, error_rate, recall: 1 × does not decode"


@pytest.mark.parametrize("how", [{"batch": 1}, {"batch": 5}, {"batch": 100}, {"batch": 4, "workers": 2}])
def test_batches_and_workers_change_nothing(folder: Path, how: Mapping[str, Any]) -> None:
    expected = eb.evaluate(Brightest(), str(folder), ["top1", "f1"])
    found = eb.evaluate(Brightest(), str(folder), ["top1", "f1"], **how)
    assert found.evaluations == expected.evaluations


@given(st.integers(1, 9), st.integers(1, 9))
def test_any_batch_of_any_tensors_gives_one_value(batch: int, n: int) -> None:
    drawn = torch.Generator().manual_seed(n)
    data = TensorDataset(torch.randn(n, 3, generator=drawn), torch.randint(3, (n,), generator=drawn))
    one, other = (eb.evaluate(nn.Identity(), data, "accuracy", batch=size) for size in (batch, n))
    right = (data.tensors[0].argmax(1) == data.tensors[1]).double().mean()
    assert one.evaluations == other.evaluations
    assert one.value() == pytest.approx(float(right))


def state_of(model: Brightest) -> list[object]:
    return [model.training, model.drop.training, model.weight, model.weight.requires_grad, model.calls.item()]


def everything() -> list[object]:
    return [torch.is_grad_enabled(), torch.get_rng_state().tolist(), random.getstate()]


def test_model_and_generators_are_left_as_they_were(folder: Path) -> None:
    model = Brightest().train()
    before, around = state_of(model), everything()
    eb.evaluate(model, str(folder), "top1", batch=2)
    assert state_of(model) == before
    assert everything() == around
    model.weight = nn.Parameter(torch.zeros(3, 4))
    before = state_of(model)
    with pytest.raises(
        ModelError, match=r"Brightest: on blue/0\.png to red/3\.png \(11×3×8×8 float32\) the model raised"
    ):
        eb.evaluate(model, str(folder), "top1")
    assert state_of(model) == before
    assert everything() == around


def test_answers_that_are_not_finite_are_counted_and_not_averaged() -> None:
    nan = torch.tensor([float("nan"), 0.0])
    data = pairs((torch.tensor([1.0, 0.0]), 0), (nan, 0), (torch.tensor([1.0, 0.0]), 1))
    found = eb.evaluate(nn.Identity(), data, "top1", batch=1)
    assert found.value() == 0.5
    assert dict(found.evaluations[0].left_out) == {"prediction not finite": 1}


def test_labels_out_of_range_are_counted() -> None:
    data = pairs(*((torch.tensor([1.0, 0.0]), label) for label in (0, 2, -1, 0)))
    found = eb.evaluate(nn.Identity(), data, "top1")
    assert (found.value(), dict(found.evaluations[0].left_out)) == (1.0, {"label out of range": 2})


def test_a_limit_says_which_classes_it_saw(folder: Path) -> None:
    found = eb.evaluate(Brightest(), str(folder), "top1", limit=5)
    assert (found.asked, found.evaluations[0].n) == (5, 5)
    (note,) = [note for note in found.evaluations[0].notes if note.code == "limited"]
    assert note.text == "the first 5 of 12 samples in their order, which hold 2 of 3 classes"
    assert found.digest != eb.evaluate(Brightest(), str(folder), "top1").digest


@pytest.mark.parametrize("how", [{"batch": 2}, {"batch": 3, "workers": 2}])
def test_images_that_are_padded_are_counted(folder: Path, how: Mapping[str, Any]) -> None:
    Image.new("RGB", (9, 12), COLORS["red"]).save(folder / "red" / "0.png")
    found = eb.evaluate(Brightest(), str(folder), "top1", preprocess=Wanted(crop=(10, 9)), **how)
    (note,) = [note for note in found.evaluations[0].notes if note.code == "padded"]
    # 11 of 12 decode; one of those is 9 × 12 pixels, the others 8 × 8.
    text = "10 of 12 images were smaller than the crop and were padded with black to 10×9, blue/0.png the first"
    assert (note.subject, note.text) == ("val", text)
    fits = eb.evaluate(Brightest(), str(folder), "top1", preprocess=Wanted(crop=(8, 8)))
    assert "padded" not in [note.code for note in fits.evaluations[0].notes]


def test_words_are_a_model_s_outputs_only_where_it_shows_how_many_it_has(folder: Path) -> None:
    class Labels(Brightest):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).argmax(1)

    table = folder / "table.csv"
    table.write_text("path,label\nred/0.png,red\nblue/0.png,blue\ngreen/0.png,green\n")
    assert eb.evaluate(Brightest(), str(table), "top1").value() == 1
    said = refusal(lambda: eb.evaluate(Labels(), str(table), "top1"))
    assert "one label a sample, and the labels of table are words (blue, green, red): state the model's number" in said
    index = Opening(index={"blue": 0, "green": 1, "red": 2})
    assert eb.evaluate(Labels(), str(table), "top1", opening=index).value() == 1
    table.write_text("path,label\nred/0.png,red\nblue/0.png,blue\n")
    said = refusal(lambda: eb.evaluate(Brightest(), str(table), "top1"))
    assert "gives 3 scores a sample and table has 2 classes (blue, red): " in said
    assert "say which with --class-index FILE, a CSV of name,index" in said


def test_a_single_logit_is_told_what_a_class_needs(folder: Path) -> None:
    class One(Brightest):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x)[:, :1]

    said = refusal(lambda: eb.evaluate(One(), str(folder), "top1"))
    assert "one score a sample: give a class label, or a score per class (of a single logit z: 0 and z)" in said


def test_classes_of_another_number_are_refused_unless_their_indices_are_stated(folder: Path) -> None:
    class Seven(Brightest):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = super().forward(x)
            return torch.stack([scores[:, 0] * 0, scores[:, 2], scores[:, 0], scores[:, 0] * 0, scores[:, 1]], 1)

    with pytest.raises(
        InputError, match=r"Seven gives 5 scores a sample and val has 3 classes .blue, green, red.*--class"
    ):
        eb.evaluate(Seven(), str(folder), "top1")
    index = Opening(index={"red": 1, "blue": 2, "green": 4})
    assert eb.evaluate(Seven(), str(folder), "top1", opening=index).value() == pytest.approx(10 / 11)


class Several(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return {"aux": -x, "out": x}


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return -x, x


@pytest.mark.parametrize(("model", "key"), [(Several(), "out"), (Pair(), "1")])
def test_one_of_several_outputs_is_chosen(model: nn.Module, key: str) -> None:
    data = pairs((torch.tensor([1.0, 0.0]), 0))
    assert eb.evaluate(model, data, "top1", answer=key).value() == 1.0
    with pytest.raises(InputError, match=r"has several outputs: .*: choose one with --answer"):
        eb.evaluate(model, data, "top1")
    with pytest.raises(InputError, match="no output 'logits'"):
        eb.evaluate(model, data, "top1", answer="logits")


class Sum(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a - b


def test_inputs_may_be_several_or_named() -> None:
    one, two = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert eb.evaluate(Sum(), pairs(((one, two), 0)), "top1").value() == 1.0
    assert eb.evaluate(Sum(), pairs(({"b": one, "a": two}, 0)), "top1").value() == 0.0


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(EffbenchError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "model", "said"),
    [
        (
            pairs((torch.ones(2), 0), (torch.ones(3), 0)),
            nn.Identity(),
            "shape: 2 (sample 0) and 3 (sample 1): make them",
        ),
        (pairs(("word", 0)), nn.Identity(), "sample 0: its input is a str"),
        (pairs((torch.ones(2), 0), (torch.ones(2), [0, 1])), nn.Identity(), "targets differ in shape"),
        (pairs((torch.ones(2), 0)), nn.Flatten(0), "answers a batch of 1 with 2"),
        (pairs((torch.ones(2),)), nn.Identity(), "sample 0: is a tuple of 1: a sample must be a pair"),
        (7, nn.Identity(), "a int has no length"),
        (pairs(), nn.Identity(), "has no samples"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: Any, model: nn.Module, said: str) -> None:
    assert said in refusal(lambda: eb.evaluate(model, data, "top1"))


def test_a_device_that_is_not_here_is_refused() -> None:
    said = refusal(lambda: eb.evaluate(nn.Identity(), pairs((torch.ones(2), 0)), "top1", device="nowhere"))
    assert said.startswith("device 'nowhere'")


def test_data_of_which_nothing_can_be_read_are_refused(folder: Path) -> None:
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    said = refusal(lambda: eb.evaluate(Brightest(), str(folder), "top1"))
    assert "val: none of 12 samples could be read: blue/0.png: does not decode" in said


# Keypoints


class Corner(nn.Module):
    """Answers every image with the point (3, 4)."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[3.0, 4.0]]).expand(len(x), 2) * self.scale


def points(folder: Path) -> str:
    folder.mkdir()
    Image.new("RGB", (20, 10)).save(folder / "a.png")
    (folder / "points.csv").write_text("path,x0,y0,v0\na.png,0,0,1\na.png,6,12,1\na.png,9,9,0\n")
    return str(folder / "points.csv")


def test_pixel_error_is_in_pixels_of_the_model_s_input(tmp_path: Path) -> None:
    data = points(tmp_path / "d")
    half = Wanted(resize=(5, 10))
    # 20 × 10 becomes 10 × 5: the points are (0, 0) and (3, 6), and (3, 4) lies 5 and 2 pixels from them.
    found = eb.evaluate(Corner(), data, ["pixel_error:normalized=0"], preprocess=half)
    assert found.value() == (5 + 2) / 2
    (measured,) = found.evaluations
    assert (measured.settings["width"], measured.settings["height"]) == (10, 5)
    assert dict(measured.left_out) == {"no visible keypoint": 1}

    # The same answers in parts of the image: 3 = 0.3 × 10, and 4 = 0.8 × 5.
    class Parts(Corner):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) / torch.tensor([10.0, 5.0])

    found = eb.evaluate(Parts(), data, ["pixel_error:normalized=1"], preprocess=half)
    assert found.value() == pytest.approx((5 + 2) / 2)


def test_keypoints_need_to_know_how_the_image_moves(tmp_path: Path) -> None:
    data = points(tmp_path / "d")
    (tmp_path / "prep.py").write_text(
        "import torch\ndef image(one): return torch.zeros(3, 2, 2)\n"
        "def both(one, points):\n    points[:, :2] += 1\n    return torch.zeros(3, 2, 2), points\n"
    )
    setting = "pixel_error:normalized=0,width=20,height=10"
    said = refusal(lambda: eb.evaluate(Corner(), data, setting, preprocess=f"{tmp_path}/prep.py:image"))
    assert "does not say where it puts a point" in said
    # (0, 0) and (6, 12) become (1, 1) and (7, 13).
    found = eb.evaluate(Corner(), data, setting, preprocess=f"{tmp_path}/prep.py:both")
    assert found.value() == pytest.approx(((2**2 + 3**2) ** 0.5 + (4**2 + 9**2) ** 0.5) / 2)
    said = refusal(lambda: eb.evaluate(Corner(), data, "pixel_error:normalized=1,width=9,height=9"))
    assert "needs inputs of one size" in said


# Weights


NETS = """
import torch
from torch import nn

class Drawn(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

def fixed():
    torch.manual_seed(0)
    return nn.Linear(2, 2)

model = nn.Linear(2, 2)
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path / "nets.py"


ONE = [(torch.tensor([1.0, 0.0]), 0), (torch.tensor([0.0, 1.0]), 1)]


@pytest.mark.parametrize(("name", "warned"), [("Drawn", True), ("fixed", False), ("model", True)])
def test_weights_that_are_drawn_anew_are_told(nets: Path, name: str, warned: bool) -> None:
    found = eb.evaluate(f"{nets}:{name}", pairs(*ONE), "top1")
    codes = [note.code for note in found.evaluations[0].notes]
    assert ("random-weights" in codes) is warned
    assert found.value() == eb.evaluate(f"{nets}:{name}", pairs(*ONE), "top1").value() or warned


def test_a_zoo_s_model_without_weights_is_told() -> None:
    def load() -> Loaded:
        return runnable(eb.load("torchvision:squeezenet1_1"))

    assert differs_when_built_again(load(), load)


def state(sign: float = 1.0) -> dict[str, torch.Tensor]:
    return {"weight": sign * torch.eye(2), "bias": torch.zeros(2)}


@pytest.mark.parametrize("key", ["", ":ema"])
def test_weights_out_of_a_file_are_loaded(nets: Path, tmp_path: Path, key: str) -> None:
    file = tmp_path / "trained.pth"
    content = (
        state() if not key else {"model": state(-1.0), "ema": {f"module.{n}": t for n, t in state().items()}, "n": 3}
    )
    torch.save(content, file)
    found = eb.evaluate(f"{nets}:Drawn", pairs(*ONE), "top1", weights=f"{file}{key}")
    assert (found.value(), found.weights) == (1.0, f"{file}{key}")
    assert "random-weights" not in [note.code for note in found.evaluations[0].notes]


def test_safetensors_are_read(nets: Path, tmp_path: Path) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    save(state(-1.0), tmp_path / "t.safetensors")
    found = eb.evaluate(f"{nets}:Drawn", pairs(*ONE), "top1", weights=str(tmp_path / "t.safetensors"))
    assert found.value() == 0.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"weight": torch.eye(2)}, "1 missing: bias"),
        ({**state(), "more": torch.ones(1)}, "1 left over: more"),
        ({**state(), "bias": torch.zeros(3)}, "bias has the shapes 2 and 3"),
        ({"a": state(), "b": state()}, "several state dicts: a, b; say which"),
        ({"epoch": 3}, "no state dict"),
        (b"junk", "cannot be read as a state dict"),
    ],
)
def test_weights_that_do_not_fit_are_refused(nets: Path, tmp_path: Path, content: Any, said: str) -> None:
    file = tmp_path / "w.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    assert said in refusal(lambda: eb.evaluate(f"{nets}:Drawn", pairs(*ONE), "top1", weights=str(file)))


def test_names_of_weights_are_a_zoo_s(nets: Path, tmp_path: Path) -> None:
    assert "no such file" in refusal(lambda: read_state(str(tmp_path / "gone.pth")))
    said = refusal(lambda: eb.evaluate(f"{nets}:Drawn", pairs(*ONE), "top1", weights="DEFAULT"))
    assert "names of weights are for torchvision: and timm: only" in said
    said = refusal(lambda: eb.evaluate("timm:resnet10t", pairs(*ONE), "top1", weights="v2"))
    assert "pass DEFAULT" in said
    said = refusal(lambda: eb.evaluate("torchvision:resnet18", pairs(*ONE), "top1", weights="V9"))
    assert "unknown weights of resnet18 'V9'" in said


# Intervals, settings, records


def measured(right: int, n: int) -> Evaluation:
    answers = tuple(float(place < right) for place in range(n))
    return Evaluation("accuracy", "fraction", "higher", n, {"target": (1.0,) * n, "predicted": answers})


def test_an_interval_is_the_percentile_bootstrap_s() -> None:
    # The count of right answers in a draw is binomial(400, 0.9): its standard deviation is 6 in 400.
    low, high = interval_of(measured(360, 400)) or (0, 0)
    assert low == pytest.approx(0.9 - 1.96 * 6 / 400, abs=0.004)
    assert high == pytest.approx(0.9 + 1.96 * 6 / 400, abs=0.004)
    assert interval_of(measured(360, 400)) == (low, high)
    assert interval_of(measured(1, 1)) is None


def test_the_interval_of_a_share_of_0_or_1_ends_there() -> None:
    # Of x = n = 20, Jeffreys' posterior is Beta(20½, ½); Brown, Cai and DasGupta (2001) end the interval at 1.
    low, high = interval_of(measured(20, 20), draws=20_000) or (0, 0)
    assert low == pytest.approx(beta.ppf(0.025, 20.5, 0.5), abs=0.01)
    assert high == 1
    low, high = interval_of(measured(0, 20), draws=20_000) or (0, 0)
    assert low == 0
    assert high == pytest.approx(beta.ppf(0.975, 0.5, 20.5), abs=0.01)


def test_settings_are_a_metric_s_own_before_those_for_all() -> None:
    found = choices(["pck:t=0.05", "pck:t=0.1,reference=box", "top1"], {"reference": "diagonal", "width": 9})
    assert found == (
        ("pck", {"reference": "diagonal", "width": 9, "t": "0.05"}),
        ("pck", {"reference": "box", "width": 9, "t": "0.1"}),
        ("top1", {}),
    )


@pytest.mark.parametrize(
    ("texts", "shared", "said"),
    [
        (["top"], {}, "unknown metric 'top': did you mean"),
        (["top1:"], {}, "write NAME:KEY=VALUE"),
        (["pck:t=1,t=2"], {}, "write NAME:KEY=VALUE"),
        (["top1"], {"width": 3}, "unknown setting of top1 'width': known: num_classes"),
        (["top1", "pck"], {"widht": 3}, "unknown setting of top1, pck 'widht': did you mean width"),
        ([], {}, "no metric"),
    ],
)
def test_metrics_that_cannot_be_are_refused(texts: list[str], shared: dict[str, object], said: str) -> None:
    assert said in refusal(lambda: choices(texts, shared))


def test_a_record_keeps_each_sample_and_is_read_back(nets: Path, tmp_path: Path) -> None:
    found = eb.evaluate(f"{nets}:model", pairs(*ONE), ["top1"])
    Store(tmp_path / "r").save(Record("model", f"{nets}:model"))
    path = found.record(tmp_path / "r")
    (stored,), notes = Store(tmp_path / "r").load()
    assert (path.name, notes) == ("model.json", ())
    assert stored.record.evaluations == found.evaluations
    assert "preprocessing" in [note.code for note in stored.record.evaluations[0].notes]


def test_progress_says_how_far_it_is_and_the_value_so_far(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from effbench.measure import evaluate as module

    monkeypatch.setattr(module, "_TELL_S", 0.0)
    monkeypatch.setattr(module, "_TELL_SHARE", 0)
    seen: list[Progress] = []
    eb.evaluate(Brightest(), str(folder), "top1", batch=4, on_batch=seen.append)
    assert [(each.done, each.total) for each in seen] == [(4, 12), (8, 12), (12, 12)]
    assert seen[0].values == (("top1", 1.0),)
    assert seen[-1].values[0][1] == pytest.approx(10 / 11)
    assert all(each.samples_per_s > 0 for each in seen)
