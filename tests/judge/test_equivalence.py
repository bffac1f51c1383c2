"""One network has one count: however it is written, wherever it runs, whatever PyTorch wraps around it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import Call, OnRealTensors, counted, load, macs, params, traced, traced_for_real
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from effbench.measure.trace import Mode, trace
from effbench.records import Trace


def codes(found: Trace) -> set[str]:
    return {note.code for note in found.notes}


# Written in every way: patches of an image become tokens, attend to each other, are mixed and classified

N, C, SIDE, E, HEADS, CLASSES = 2, 3, 8, 6, 2, 5
PATCH, TOKENS = 4, 4
BY_HAND = N * (
    TOKENS * C * PATCH * PATCH * E  # patches
    + TOKENS * E * 3 * E  # queries, keys, values
    + TOKENS * TOKENS * (E + E)  # scores and mixture
    + TOKENS * E * E  # out
    + E * CLASSES  # classes
)


def split(x: Tensor, *sizes: int) -> Tensor:
    """The last dimension as several."""
    return x.reshape(*x.shape[:-1], *sizes)


class Weights(nn.Module):
    """The parameters that all the ways of writing share."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Parameter(torch.rand(E, C, PATCH, PATCH))
        self.qkv = nn.Parameter(torch.rand(3 * E, E))
        self.out = nn.Parameter(torch.rand(E, E))
        self.head = nn.Parameter(torch.rand(CLASSES, E))

    def heads(self, tokens: Tensor) -> Tensor:
        return split(tokens, HEADS, -1).transpose(1, 2)


class Modules(Weights):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(C, E, PATCH, PATCH, bias=False)
        self.attention = nn.MultiheadAttention(E, HEADS, bias=False, batch_first=True)
        self.classes = nn.Linear(E, CLASSES, bias=False)
        self.embed.weight, self.classes.weight = self.patch, self.head
        self.attention.in_proj_weight, self.attention.out_proj.weight = self.qkv, self.out

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.classes(mixed.mean(1))  # type: ignore[no-any-return]


class Functions(Weights):
    def forward(self, x: Tensor) -> Tensor:
        tokens = F.conv2d(x, self.patch, stride=PATCH).flatten(2).transpose(1, 2)
        q, k, v = (self.heads(part) for part in F.linear(tokens, self.qkv).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return F.linear(F.linear(mixed, self.out).mean(1), self.head)


class Products(Weights):
    def forward(self, x: Tensor) -> Tensor:
        patches = x.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH).permute(0, 2, 3, 1, 4, 5).reshape(N, TOKENS, -1)
        tokens = patches @ self.patch.flatten(1).T
        q, k, v = (self.heads(part) for part in (tokens @ self.qkv.T).chunk(3, -1))
        scores = torch.softmax(q @ k.transpose(-2, -1) / (E // HEADS) ** 0.5, -1)
        mixed = (scores @ v).transpose(1, 2).flatten(2)
        return (mixed @ self.out.T).mean(1) @ self.head.T


class Einsums(Weights):
    def forward(self, x: Tensor) -> Tensor:
        patches = x.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
        tokens = torch.einsum("nchwij,ecij->nhwe", patches, self.patch).flatten(1, 2)
        q, k, v = torch.einsum("nte,fe->ntf", tokens, self.qkv).reshape(N, TOKENS, 3, HEADS, -1).unbind(2)
        scores = torch.softmax(torch.einsum("nqhd,nkhd->nhqk", q, k) / (E // HEADS) ** 0.5, -1)
        mixed = torch.einsum("nhqk,nkhd->nqhd", scores, v).flatten(2)
        return torch.einsum("ne,ce->nc", torch.einsum("nte,fe->ntf", mixed, self.out).mean(1), self.head)


class Loops(Weights):
    """Sample by sample and head by head, with the smallest products there are."""

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for image in x:
            patches = image.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).permute(1, 2, 0, 3, 4).reshape(TOKENS, -1)
            tokens = torch.stack([torch.mv(self.patch.flatten(1), patch) for patch in patches])
            q, k, v = (split(part, HEADS, -1) for part in F.linear(tokens, self.qkv).chunk(3, -1))
            heads = []
            for head in range(HEADS):
                scores = torch.mm(q[:, head], k[:, head].T) / (E // HEADS) ** 0.5
                heads.append(torch.mm(scores.softmax(-1), v[:, head]))
            mixed = torch.addmm(torch.zeros(1, device=x.device), torch.cat(heads, -1), self.out.T).mean(0)
            rows.append(torch.stack([torch.dot(mixed, weight) for weight in self.head]))
        return torch.stack(rows)


WAYS = [Modules, Functions, Products, Einsums, Loops]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_written_in_every_way(way: type[Weights]) -> None:
    x = torch.rand(N, C, SIDE, SIDE)
    model = way()
    with torch.no_grad():
        torch.testing.assert_close(model(x), Modules()(x))
    assert counted(traced(model, x)).total == BY_HAND
    assert counted(traced_for_real(model, x)).total == BY_HAND
    assert params(traced(model, x)) == E * C * PATCH * PATCH + 4 * E * E + CLASSES * E


def test_one_channel_too() -> None:
    """An einsum over a dimension of size 1 is an element-wise product to PyTorch, and a product of matrices to us."""
    x, weight = torch.rand(2, 1, 4, 4), torch.rand(5, 1)
    ways: list[Callable[..., Tensor]] = [
        lambda x, w: torch.einsum("bchw,oc->bohw", x, w),
        lambda x, w: torch.einsum("bchw, oc -> bohw", (x, w)),
        lambda x, w: F.conv2d(x, w[:, :, None, None]),
        lambda x, w: (w @ x.flatten(2)).unflatten(2, (4, 4)),
        lambda x, w: F.linear(x.movedim(1, -1), w).movedim(-1, 1),
        lambda x, w: torch.tensordot(x, w, ([1], [1])).movedim(-1, 1),
    ]
    for way in ways:
        torch.testing.assert_close(way(x, weight), ways[0](x, weight))
        assert macs(way, x, weight) == 2 * 16 * 5
    # no index is summed over: an outer product has no inner one
    assert macs(lambda a, b: torch.einsum("i,j->ij", a, b), (3,), (4,)) == 0
    assert macs(lambda a, b: torch.einsum("ij,ij->ij", a, b), (3, 1), (3, 1)) == 0
    assert macs(lambda a, b: torch.einsum("ij,jk", a, b), (3, 1), (1, 4)) == 12


# Run in every way

MODEL_SHAPE = (N, C, SIDE, SIDE)


class Network(nn.Module):
    """A convolution, a batch norm, attention and a linear layer, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(C, E, PATCH, PATCH)
        self.norm = nn.BatchNorm2d(E)
        self.encoder = nn.TransformerEncoderLayer(E, HEADS, 8, batch_first=True)
        self.head = nn.Linear(E, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = F.relu(self.norm(self.convolution(x))).flatten(2).transpose(1, 2)
        return self.head(self.encoder(tokens).mean(1))  # type: ignore[no-any-return]


NETWORK = N * (
    TOKENS * C * PATCH * PATCH * E + TOKENS * 4 * E * E + TOKENS * TOKENS * 2 * E + TOKENS * 2 * E * 8 + E * CLASSES
)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_on_every_device_in_every_format_and_mode(device: str, dtype: torch.dtype, mode: Any) -> None:
    model = Network().to(device, dtype)
    x = torch.rand(MODEL_SHAPE).to(device, dtype)
    assert macs(model, x, mode=mode) == NETWORK
    if device == "cpu":
        assert macs(OnRealTensors(model), x, mode=mode) == NETWORK


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_on_cuda(dtype: torch.dtype) -> None:
    model = Network().to("cuda", dtype)
    x = torch.rand(MODEL_SHAPE).to("cuda", dtype)
    assert macs(model, x) == macs(OnRealTensors(model), x) == NETWORK
    lstm = nn.LSTM(6, 5, 2, bidirectional=True)
    assert macs(OnRealTensors(lstm.cuda()), torch.rand(7, 3, 6).cuda()) == macs(
        nn.LSTM(6, 5, 2, bidirectional=True), (7, 3, 6)
    )


@pytest.mark.parametrize("inside", [torch.no_grad, torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("outside", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_in_every_grad_mode(inside: Any, outside: Any) -> None:
    model = Network()

    def forward(x: Tensor) -> Any:
        with inside():
            return model(x)

    wrapped = Call(forward)
    wrapped.model = model
    with outside():
        for way in (wrapped, OnRealTensors(wrapped)):
            assert macs(way, MODEL_SHAPE) == NETWORK
    assert torch.is_grad_enabled()


def test_under_autocast_and_in_another_memory_format() -> None:
    model = Network()

    def forward(x: Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return model(x)

    wrapped = Call(forward)
    wrapped.model = model
    assert macs(OnRealTensors(wrapped), MODEL_SHAPE) == NETWORK
    channels_last = model.to(memory_format=torch.channels_last)
    assert macs(channels_last, torch.rand(MODEL_SHAPE).to(memory_format=torch.channels_last)) == NETWORK


# Compiled


def compiled(*parts: str) -> nn.Module:
    """The network, with these parts of it compiled; "" is the whole."""
    model: Any = Network().eval()
    for part in parts:
        if part == "":
            model = torch.compile(model)
        elif part == "in place":
            model.compile()
        else:
            setattr(model, part, torch.compile(getattr(model, part)))
    return model  # type: ignore[no-any-return]


@pytest.mark.parametrize("parts", [("",), ("in place",), ("encoder",), ("convolution", "head"), ("head", "")], ids=str)
def test_compiled(parts: tuple[str, ...]) -> None:
    found = traced(compiled(*parts), MODEL_SHAPE)
    assert counted(found).total == counted(traced_for_real(compiled(*parts), MODEL_SHAPE)).total == NETWORK
    assert counted(found, "full").total == counted(traced(Network(), MODEL_SHAPE), "full").total
    assert codes(found) == codes(traced(Network(), MODEL_SHAPE))


def test_compiled_and_run_before() -> None:
    """What lies compiled in dynamo's cache is not run: its kernels could not be seen."""
    inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    part: Any = torch.compile(inner, backend="eager")
    model = nn.Sequential(part)
    function = torch.compile(lambda x: torch.relu(x @ x.T), backend="eager")
    x = torch.rand(3, 4)
    with torch.no_grad():
        function(model(x))
    around = torch.compiler.is_compiling(), torch.compile
    for way in (model, OnRealTensors(model)):
        assert macs(way, x) == 3 * (16 + 8)
    assert macs(lambda x: function(x), x) == 3 * 4 * 3
    assert (torch.compiler.is_compiling(), torch.compile) == around
    with torch.no_grad():
        assert function(model(x)).shape == (3, 3)


def test_compiling_inside_the_forward_pass() -> None:
    def forward(x: Tensor) -> Any:
        @torch.compile(fullgraph=True)
        def square(y: Tensor) -> Tensor:
            return y @ y

        return torch.compile(square)(x)

    assert macs(forward, (3, 3)) == 27


# TorchScript

MODES: tuple[Mode, Mode] = ("eval", "train")


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(C, E, 3), nn.BatchNorm2d(E), nn.ReLU(), nn.Flatten(), nn.Linear(E * 36, CLASSES))


JIT: Any = torch.jit
PLAIN = N * (36 * E * C * 9 + E * 36 * CLASSES)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:.*TorchScript:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*jit:FutureWarning")
@pytest.mark.parametrize("how", ["script", "trace", "freeze", "part"])
def test_torchscript_has_the_total_in_one_row_and_a_note(how: str) -> None:
    x, written, jit = torch.rand(MODEL_SHAPE), plain().eval(), JIT
    ways: dict[str, Callable[[], Any]] = {
        "script": lambda: jit.script(written),
        "trace": lambda: jit.trace(written, x),
        "freeze": lambda: jit.freeze(jit.script(written)),
        "part": lambda: nn.Sequential(jit.script(written), nn.Identity()),
    }
    found = traced(ways[how](), x)
    assert counted(found).total == counted(traced(written, x)).total == PLAIN
    assert {"torchscript", "real-run"} == codes(found)
    rows = {layer.path: layer.amount.value for layer in counted(found).layers if layer.amount}
    assert rows == {"0" if how == "part" else "": PLAIN}
    if how != "freeze":  # a frozen graph has constants instead of parameters
        assert params(found) == params(traced(written, x))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:.*TorchScript:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*jit:FutureWarning")
@pytest.mark.parametrize("fail", [False, True])
def test_a_torchscript_model_is_left_as_it_was(fail: bool) -> None:
    scripted = JIT.script(plain())
    getattr(scripted, "1").eval()
    model = nn.Sequential(scripted, Call(lambda x: x @ x if fail else x))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [module.training for module in model.modules()]
    assert len(set(flags)) == 2
    for mode in MODES:
        found = trace(load(model, MODEL_SHAPE), mode)
        assert (found.failed is not None) is fail
        assert "aten::native_batch_norm" in {call.op for call in found.ops} or fail
        assert [module.training for module in model.modules()] == flags
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, state[name]), name


# Exported and symbolically traced


def test_an_exported_program_and_a_symbolic_trace() -> None:
    x, written = torch.rand(MODEL_SHAPE), plain().eval()
    exported = torch.export.export(written, (x,)).module()
    symbolic = torch.fx.symbolic_trace(written)
    for model in (exported, symbolic):
        found = traced(model, x)
        assert counted(found).total == PLAIN
        assert params(found) == params(traced(written, x))


# Weights that are computed


def spectral() -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(nn.Linear(8, 4))


def weight() -> nn.Module:
    layer: nn.Module = nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))
    return layer


def orthogonal() -> nn.Module:
    layer: nn.Module = nn.utils.parametrizations.orthogonal(nn.Linear(8, 4))
    return layer


def old_spectral() -> nn.Module:
    return nn.utils.spectral_norm(nn.Linear(8, 4))


def old_weight() -> nn.Module:
    with pytest.warns(FutureWarning):
        layer: nn.Module = nn.utils.weight_norm(nn.Linear(8, 4))
    return layer


def pruned() -> nn.Module:
    layer = nn.Linear(8, 4)
    prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]
    return layer


class LowRank(nn.Module):
    """W + A·B, as LoRA adapts a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 4, bias=False), nn.Linear(8, 2, bias=False)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.a.weight @ self.b.weight


def low_rank() -> nn.Module:
    layer = nn.Linear(8, 4)
    nn.utils.parametrize.register_parametrization(layer, "weight", LowRank())
    return layer


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("make", [spectral, weight, orthogonal, old_spectral, old_weight, pruned, low_rank])
def test_computing_a_weight_is_not_the_model_s_cost(make: Callable[[], nn.Module], mode: Any) -> None:
    model = nn.Sequential(make(), nn.Linear(4, 4))
    plainly = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 4))
    found = traced(model, (3, 8), mode=mode)
    for convention in ("macs", "full"):
        assert counted(found, convention).total == counted(traced(plainly, (3, 8)), convention).total is not None
    assert counted(found).activations == counted(traced(plainly, (3, 8))).activations
    (note,) = (note for note in found.notes if note.code == "reparametrised")
    assert note.subject == "0"
    assert "not counted as the model's cost" in note.text
    assert "reparametrised" not in codes(traced(plainly, (3, 8)))


def test_once_computed_it_is_one_weight() -> None:
    layer = spectral()
    nn.utils.parametrize.remove_parametrizations(layer, "weight")
    assert macs(layer, (3, 8)) == 3 * 32
    assert "reparametrised" not in codes(traced(layer, (3, 8)))


# Wrapped


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.model = plain()
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.model, x, use_reentrant=self.reentrant)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed(reentrant: bool, mode: Any) -> None:
    assert macs(Checkpointed(reentrant), MODEL_SHAPE, mode=mode) == PLAIN
    parts, run = plain(), checkpoint_sequential
    wrapped = Call(lambda x: run(parts, 2, x, use_reentrant=reentrant))  # type: ignore[no-untyped-call]
    wrapped.parts = parts
    assert macs(wrapped, MODEL_SHAPE, mode=mode) == PLAIN


class Ensemble(nn.Module):
    """Three networks run as one, by vmap over their stacked weights."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(plain().eval() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        weights, buffers = stack_module_state(list(self.members))
        one = self.members[0]
        return torch.vmap(lambda w, b: functional_call(one, (w, b), (x,)))(weights, buffers)  # type: ignore[no-any-return]


def test_an_ensemble_by_vmap_costs_its_members() -> None:
    assert macs(Ensemble(), MODEL_SHAPE) == 3 * PLAIN


@pytest.mark.parametrize(
    ("function", "shapes", "mac"),
    [
        pytest.param(torch.vmap(torch.mm), [(2, 3, 4), (2, 4, 5)], 2 * 60, id="mm"),
        pytest.param(torch.vmap(torch.dot), [(6, 4), (6, 4)], 24, id="dot"),
        pytest.param(torch.vmap(torch.mv, in_dims=(None, 0)), [(3, 4), (6, 4)], 6 * 12, id="mv-shared-matrix"),
        pytest.param(torch.vmap(torch.vmap(torch.dot)), [(2, 6, 4), (2, 6, 4)], 48, id="twice"),
        pytest.param(torch.vmap(F.conv2d), [(2, 1, 3, 8, 8), (2, 4, 3, 3, 3)], 2 * 36 * 4 * 27, id="conv"),
        pytest.param(torch.vmap(F.scaled_dot_product_attention), [(2, 3, 8, 4)] * 3, 2 * 3 * 64 * 8, id="attention"),
    ],
)
def test_vmap(function: Callable[..., Any], shapes: list[tuple[int, ...]], mac: int) -> None:
    assert macs(Call(function), *shapes) == mac
    assert counted(traced_for_real(Call(function), *shapes)).total == mac


def test_functional_calls_count_the_weights_they_are_given() -> None:
    model = plain().eval()

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Any:
            return functional_call(self.model, dict(self.model.named_parameters()), (x,))

    assert macs(Functional(), MODEL_SHAPE) == PLAIN


def test_a_derivative_in_the_forward_pass_is_counted() -> None:
    """x ↦ (x·x).sum() has one product forward, and two for its gradient."""
    gradient = torch.func.grad(lambda x: (x @ x).sum())
    assert macs(Call(gradient), (3, 3)) == 3 * 27
