"""From a plan to what is timed: what runs, on what, in which dtype, and what is refused."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from helpers import load
from torch import Tensor, nn

from effbench.errors import InputError, ModelError
from effbench.measure.source import Loaded, ModelInputs
from effbench.measure.timing.step import Step, loss_of, prepare
from effbench.records import TimingPlan


class Cnn(nn.Module):
    """Notes what its forward saw."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)
        self.seen: dict[str, Any] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.seen = {
            "threads": torch.get_num_threads(),
            "inference": torch.is_inference_mode_enabled(),
            "gradients": torch.is_grad_enabled(),
            "training": self.norm.training,
            "input": x,
            "weights": {weight.dtype for weight in self.parameters()},
            "batches": int(self.norm.num_batches_tracked or 0),
        }
        return self.head(self.norm(self.convolution(x)).relu().mean((2, 3)))  # type: ignore[no-any-return]


def once(step: Step) -> Any:
    with step.around():
        return step.call()


def cnn(plan: TimingPlan, *shape: int) -> tuple[Cnn, Step]:
    model = Cnn()
    return model, prepare(load(model, shape or (2, 3, 8, 8)), plan)


def test_inference_is_a_forward_pass_in_inference_mode() -> None:
    model, step = cnn(TimingPlan())
    output = once(step)
    assert output.shape == (2, 2)
    assert output.is_inference()
    assert (model.seen["inference"], model.seen["training"]) == (True, False)
    assert torch.equal(model.state_dict()["norm.running_mean"], torch.zeros(4))
    assert step.notes == ()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_precision_is_that_of_weights_inputs_and_result(precision: Any) -> None:
    model, step = cnn(TimingPlan(precision=precision))
    dtype = getattr(torch, precision)
    assert once(step).dtype == dtype
    assert model.seen["weights"] == {dtype}
    assert model.seen["input"].dtype == dtype


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_autocast_leaves_the_weights_and_casts_the_result(name: str) -> None:
    model, step = cnn(TimingPlan(precision=f"autocast-{name}"))  # type: ignore[arg-type]
    assert once(step).dtype == getattr(torch, name)
    assert model.seen["weights"] == {torch.float32}
    assert model.seen["input"].dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_a_model_written_in_another_dtype_is_timed_in_the_plans() -> None:
    step = prepare(load(nn.Linear(3, 2).double(), torch.rand(4, 3, dtype=torch.float64)), TimingPlan())
    assert once(step).dtype == torch.float32


def test_ids_and_masks_keep_their_dtype() -> None:
    step = prepare(load(nn.Embedding(9, 4), torch.tensor([[1, 8]])), TimingPlan(precision="bfloat16"))
    assert once(step).dtype == torch.bfloat16


@pytest.mark.parametrize(("batch", "rows"), [(1, [0]), (3, [0, 1, 2]), (5, [0, 1, 2, 0, 1])])
def test_a_batch_takes_the_samples_again_and_again(batch: int, rows: list[int]) -> None:
    given = torch.arange(6.0).reshape(3, 2)
    step = prepare(load(lambda x, scale: x * scale, given, torch.tensor(2.0)), TimingPlan(batch=batch))
    assert torch.equal(once(step), 2 * given[rows])


def test_a_batch_is_that_of_every_input_in_whatever_structure() -> None:
    step = prepare(load(lambda x, more: x + more["y"][0], (2, 3), more={"y": [torch.ones(2, 3)]}), TimingPlan(batch=7))
    assert once(step).shape == (7, 3)


def test_channels_last_is_for_weights_and_inputs() -> None:
    model, step = cnn(TimingPlan(memory_format="channels_last"))
    once(step)
    assert model.seen["input"].is_contiguous(memory_format=torch.channels_last)
    assert model.convolution.weight.is_contiguous(memory_format=torch.channels_last)
    assert not model.convolution.weight.is_contiguous()


def test_channels_last_of_volumes_is_their_own() -> None:
    model = nn.Conv3d(3, 4, 3)
    step = prepare(load(model, (2, 3, 5, 5, 5)), TimingPlan(memory_format="channels_last"))
    assert once(step).is_contiguous(memory_format=torch.channels_last_3d)


def test_threads_are_as_planned_inside_and_as_before_outside() -> None:
    before = torch.get_num_threads()
    model, step = cnn(TimingPlan(threads=before + 1))
    once(step)
    assert (model.seen["threads"], step.threads) == (before + 1, before + 1)
    assert torch.get_num_threads() == before
    assert cnn(TimingPlan())[1].threads == before


def test_threads_are_restored_where_the_model_raises() -> None:
    before = torch.get_num_threads()
    step = prepare(load(nn.Linear(4, 2), (1, 3)), TimingPlan(threads=before + 1))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        once(step)
    assert torch.get_num_threads() == before


def test_the_inputs_are_copies() -> None:
    given = torch.zeros(2, 3)
    step = prepare(load(lambda x: x.add_(1), given), TimingPlan())
    once(step)
    assert torch.equal(given, torch.zeros(2, 3))
    assert step.input_bytes == 2 * 3 * 4


def test_compiling_happens_in_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(len(inputs))
        return graph.forward

    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: compiler(model, backend=backend))
    step = prepare(load(nn.Linear(3, 2), (4, 3)), TimingPlan(compiled=True))
    assert graphs == []
    assert once(step).shape == (4, 2)
    once(step)
    assert len(graphs) == 1


# Training


@pytest.fixture
def stepped() -> tuple[Cnn, Step, list[Tensor]]:
    model, step = cnn(TimingPlan(runs="training"))
    return model, step, [weight.detach().clone() for weight in model.parameters()]


def test_a_training_step_changes_every_weight(stepped: tuple[Cnn, Step, list[Tensor]]) -> None:
    model, step, before = stepped
    once(step)
    assert all(
        not torch.equal(old, new)
        # A convolution's bias before a batch norm has no effect, and so no gradient to speak of.
        for old, (name, new) in zip(before, model.named_parameters(), strict=True)
        if name != "convolution.bias"
    )
    assert (model.seen["inference"], model.seen["gradients"], model.seen["training"]) == (False, True, True)
    assert [note.code for note in step.notes] == ["training-step"]


def test_a_training_step_is_forward_backward_and_the_optimisers() -> None:
    """One weight w = 3 and input 2: loss (2w)² has gradient 8w > 0, and AdamW's first step is its learning rate."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    step = prepare(load(model, torch.tensor([[2.0]])), TimingPlan(runs="training"))
    once(step)
    assert model.weight.grad is not None
    assert model.weight.grad.item() == 24.0
    decayed = 3.0 * (1 - 1e-5 * 1e-2)
    assert model.weight.item() == pytest.approx(decayed - 1e-5, abs=5e-7)  # a float32 near 3 has steps of 2.4e-7


def test_gradients_do_not_add_up() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    step = prepare(load(model, torch.tensor([[2.0]])), TimingPlan(runs="training"))
    once(step)
    once(step)
    assert model.weight.grad is not None
    assert model.weight.grad.item() == pytest.approx(24.0, rel=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "autocast-bfloat16", "autocast-float16"])
def test_training_in_less_precision(precision: Any) -> None:
    model, step = cnn(TimingPlan(runs="training", precision=precision))
    once(step)
    gradients = [weight.grad for weight in model.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)


def test_frozen_weights_stay() -> None:
    model = Cnn()
    model.convolution.requires_grad_(False)
    frozen = model.convolution.weight.detach().clone()
    once(prepare(load(model, (2, 3, 8, 8)), TimingPlan(runs="training")))
    assert torch.equal(model.convolution.weight, frozen)


def test_a_lazy_module_can_be_trained() -> None:
    model = nn.LazyLinear(2)
    once(prepare(load(model, (2, 3)), TimingPlan(runs="training")))
    assert model.weight.grad is not None


@dataclass
class Output:
    logits: Tensor
    label: str = "cat"


def test_the_loss_is_the_mean_square_of_every_tensor_with_a_gradient() -> None:
    x = torch.tensor([1.0, 3.0], requires_grad=True)  # squares 1 and 9: mean 5
    ids, fixed = torch.tensor([7]), torch.tensor([100.0])
    assert loss_of(x * 1).item() == 5.0
    assert loss_of({"a": [x * 1, ids], "b": (x * 2, fixed, None)}).item() == 5.0 + 20.0
    assert loss_of(Output(x * 1)).item() == 5.0
    assert loss_of(torch.complex(x, 2 * x)).item() == 12.5  # 1, 4, 9, 36 over four parts
    assert loss_of(x.half()).dtype == torch.float32


def test_the_losss_gradient_reaches_all_outputs() -> None:
    x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
    loss_of((x * 1, [y * 1])).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert y.grad is not None
    assert x.grad.tolist() == y.grad.tolist() == [1.0, 1.0]  # 2 × 1 ÷ 2 elements


@pytest.mark.parametrize("output", [torch.tensor([1, 2]), torch.ones(3), "text", None, [], torch.empty(0)])
def test_what_cannot_be_trained_on_is_said(output: object) -> None:
    with pytest.raises(InputError, match="no tensor with a gradient to train on"):
        loss_of(output)


# What cannot be


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (TimingPlan(threads=0), "threads: at least 1"),
        (TimingPlan(batch=0), "batch: at least 1"),
        (TimingPlan(captured=True), "only a CUDA device records one"),
        (TimingPlan(cold_cache=True), "only an accelerator's can be emptied"),
        (TimingPlan(precision="float16", runs="training"), "use autocast-float16 or bfloat16"),
        (TimingPlan(device="toaster"), "device 'toaster'"),
        (TimingPlan(device="meta"), "finds .* here"),
        (TimingPlan(device="cuda:99"), "device 'cuda:99'"),
        (TimingPlan(memory_format="channels_last"), "inputs of 4 or 5 dimensions"),
    ],
)
def test_a_plan_that_cannot_be_had_is_one_line(plan: TimingPlan, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        prepare(load(nn.Linear(3, 2), (1, 3)), plan)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (((2, 3), (5, 3)), "first dimensions 2 and 5"),
        ((torch.tensor(1.0),), "no dimension"),
        ((torch.rand(0, 3),), "no sample to repeat"),
    ],
)
def test_inputs_without_one_batch_are_not_resized(inputs: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(load(lambda *x: x, *inputs), TimingPlan(batch=4))
    prepare(load(lambda *x: x, *inputs), TimingPlan())


def test_nothing_without_data_is_timed() -> None:
    with pytest.raises(InputError, match="inputs lie on meta"):
        prepare(load(nn.Linear(3, 2), torch.empty(1, 3, device="meta")), TimingPlan())
    with pytest.raises(InputError, match="weights lie on meta"):
        prepare(load(nn.Linear(3, 2, device="meta"), (1, 3)), TimingPlan())


def test_nothing_to_train_is_said() -> None:
    with pytest.raises(InputError, match="a training step needs a parameter"):
        prepare(load(nn.ReLU(), (1, 3)), TimingPlan(runs="training"))


def test_a_constructor_that_raises_is_the_models_fault() -> None:
    def build(device: str) -> nn.Module:
        raise KeyError("width")

    with pytest.raises(ModelError, match="net: building the model raised KeyError: 'width'"):
        prepare(Loaded("net", None, build, ModelInputs((torch.rand(1),))), TimingPlan())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize(
    "plan",
    [
        TimingPlan("cuda"),
        TimingPlan("cuda", precision="float16", memory_format="channels_last"),
        TimingPlan("cuda", precision="autocast-float16", runs="training"),
        TimingPlan("cuda", captured=True),
        TimingPlan("cuda", cold_cache=True),
    ],
)
def test_plans_on_a_real_device(plan: TimingPlan) -> None:
    model, step = cnn(plan)
    with step.around():
        assert step.clock.time(step.call) > 0
    assert model.seen["input"].device == torch.device("cuda", torch.cuda.current_device())
