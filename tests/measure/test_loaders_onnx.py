"""ONNX graphs against hand arithmetic: products, element-wise work, shapes, parameters, rows."""

import math
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import FLOAT, INT64, counts, graph, ints, model, node, of_node, read, saved, weights

from effbench.api import profile_loaded
from effbench.errors import InputError
from effbench.judge.liveness import memory

# Products


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("stride", "pad", "dilation", "groups"), [*product([1, 2], [0, 1], [1, 2], [1, 2])])
def test_convolution(tmp_path: Path, dims: int, stride: int, pad: int, dilation: int, groups: int) -> None:
    batch, channels, outputs, size, kernel = 2, 4, 6, 9, 3
    conv = node(
        "Conv",
        "x w b",
        kernel_shape=[kernel] * dims,
        strides=[stride] * dims,
        pads=[pad] * 2 * dims,
        dilations=[dilation] * dims,
        group=groups,
    )
    constants = weights(w=(outputs, channels // groups, *[kernel] * dims), b=(outputs,))
    macs, full = of_node(tmp_path, conv, {"x": [batch, channels, *[size] * dims]}, constants)
    out = (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
    assert macs is not None
    assert macs == batch * outputs * out**dims * (channels // groups) * kernel**dims
    assert full == 2 * macs + batch * outputs * out**dims


@pytest.mark.parametrize(
    ("channels", "weight", "size", "attrs", "macs"),
    [
        (3, (3, 1, 2, 2), (2, 2), {"strides": [2, 2]}, 48),
        (32, (32, 1, 3, 3), (1, 1), {}, 288),
        (4, (4, 1, 3, 3), (8, 8), {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1], "group": 4}, 2304),
        (6, (6, 2, 2, 2), (8, 8), {"strides": [2, 2], "group": 3}, 3072),
    ],
)
def test_transposed_convolution_has_the_golden_values(
    tmp_path: Path, channels: int, weight: tuple[int, ...], size: tuple[int, ...], attrs: dict[str, Any], macs: int
) -> None:
    """The table of users.md, for one sample."""
    conv = node("ConvTranspose", "x w", **attrs)
    assert of_node(tmp_path, conv, {"x": [1, channels, *size]}, weights(w=weight))[0] == macs


@pytest.mark.parametrize(("left", "right"), [*product([False, True], [False, True])])
def test_gemm(tmp_path: Path, left: bool, right: bool) -> None:
    a, b = ((5, 3) if left else (3, 5)), ((7, 5) if right else (5, 7))
    gemm = node("Gemm", "a b c", transA=int(left), transB=int(right))
    macs, full = of_node(tmp_path, gemm, {"a": a}, weights(b=b, c=(7,)))
    assert macs == 3 * 5 * 7
    assert full == 2 * macs + 3 * 7  # one addition per output


def test_gemm_with_factors_multiplies_too(tmp_path: Path) -> None:
    gemm = node("Gemm", "a b c", alpha=0.5, beta=2.0)
    _, full = of_node(tmp_path, gemm, {"a": (3, 5)}, weights(b=(5, 7), c=(7,)))
    assert full == 2 * 105 + 21 + 7 + 21  # α per output, β per element of C, the additions


@pytest.mark.parametrize(
    ("left", "right", "macs"),
    [
        ((5,), (5,), 5),
        ((3, 5), (5,), 15),
        ((5,), (5, 7), 35),
        ((3, 5), (5, 7), 105),
        ((2, 3, 5), (5, 7), 210),
        ((2, 3, 5), (2, 5, 7), 210),
        ((3, 5), (4, 5, 7), 420),
        ((4, 1, 3, 5), (6, 5, 7), 2520),
        ((5,), (4, 5, 7), 140),
        ((4, 3, 5), (5,), 60),
    ],
)
def test_matmul_is_numpys(tmp_path: Path, left: tuple[int, ...], right: tuple[int, ...], macs: int) -> None:
    out = np.matmul(np.zeros(left), np.zeros(right)).size
    assert macs == out * left[-1]
    assert of_node(tmp_path, node("MatMul", "a b"), {"a": left, "b": right}) == (macs, 2 * macs)


@pytest.mark.parametrize(
    ("equation", "left", "right", "macs"),
    [
        ("ij,jk->ik", (2, 3), (3, 5), 30),
        ("bhid,bhjd->bhij", (2, 4, 6, 8), (2, 4, 7, 8), 2 * 4 * 6 * 7 * 8),
        ("bij,bjk->kbi", (2, 3, 4), (2, 4, 5), 120),
        ("i,j->ij", (3,), (5,), 15),
        ("ij,ij->", (3, 5), (3, 5), 15),
        ("ii,ij->ij", (3, 3), (3, 5), None),  # a diagonal
        ("ij,jk->k", (2, 3), (3, 5), None),  # i is summed within one operand first
    ],
)
def test_einsum(tmp_path: Path, equation: str, left: tuple[int, ...], right: tuple[int, ...], macs: int | None) -> None:
    assert of_node(tmp_path, node("Einsum", "a b", equation=equation), {"a": left, "b": right})[0] == macs


def test_attention_by_heads_and_flat(tmp_path: Path) -> None:
    q, kv = (2, 4, 6, 8), (2, 4, 7, 8)
    macs = 2 * 4 * 6 * 7 * (8 + 8)
    assert of_node(tmp_path, node("Attention", "q k v"), {"q": q, "k": kv, "v": kv}, opset=23)[0] == macs
    flat = node("Attention", "q k v", q_num_heads=4, kv_num_heads=4)
    shapes = {"q": (2, 6, 32), "k": (2, 7, 32), "v": (2, 7, 32)}
    assert of_node(tmp_path, flat, shapes, opset=23)[0] == macs


@pytest.mark.parametrize(("op", "gates", "each"), [("LSTM", 4, 27), ("GRU", 3, 20), ("RNN", 1, 4)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers(tmp_path: Path, op: str, gates: int, each: int, directions: int) -> None:
    """`each`: per element of the state and step, beside the products.

    LSTM: 2·4 biases, 4 sums of both products, 3 sigmoids of 3, 2 tanh, 3 mul, 1 add. GRU: 2·3 biases, 3 sums,
    2 sigmoids, 1 tanh, 2 mul, 1 sub, 1 add. RNN: 2 biases, 1 sum, 1 tanh.
    """
    steps, batch, width, hidden = 5, 2, 8, 16
    layer = node(op, "x w r b", hidden_size=hidden, direction="bidirectional" if directions == 2 else "forward")
    shapes = weights(
        w=(directions, gates * hidden, width),
        r=(directions, gates * hidden, hidden),
        b=(directions, 2 * gates * hidden),
    )
    macs, full = of_node(tmp_path, layer, {"x": (steps, batch, width)}, shapes)
    assert macs == directions * steps * batch * gates * hidden * (width + hidden)
    assert full == 2 * macs + directions * steps * batch * hidden * each


def test_sequences_of_their_own_lengths_are_unknown(tmp_path: Path) -> None:
    layer = node("LSTM", "x w r - n", hidden_size=16)
    lengths = [helper.make_tensor("n", TensorProto.INT32, [2], [5, 3])]
    source = read(tmp_path, model(graph([layer], {"x": (5, 2, 8)}, [*weights(w=(1, 64, 8), r=(1, 64, 16)), *lengths])))
    assert counts(source).total is None
    assert counts(source).coverage.unknown == {"onnx::LSTM": 1}


def test_integer_products_count_as_macs(tmp_path: Path) -> None:
    given = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 2, 5, 5])
    weight = helper.make_tensor("w", TensorProto.UINT8, [3, 2, 3, 3], bytes(54), raw=True)
    out = helper.make_tensor_value_info("y", TensorProto.INT32, None)
    body = helper.make_graph([node("ConvInteger", "x w")], "net", [given], [out], [weight])
    source = read(tmp_path, model(body))
    assert counts(source).total == 3 * 3 * 3 * 2 * 9
    assert [(param.shape, param.dtype, param.nbytes) for param in source.trace.params] == [((3, 2, 3, 3), "uint8", 54)]


# Everything else


@pytest.mark.parametrize(
    ("made", "full"),
    [
        (node("Relu", "x"), 24),
        (node("LeakyRelu", "x"), 48),
        (node("Sigmoid", "x"), 72),
        (node("Tanh", "x"), 24),
        (node("Gelu", "x"), 24 * 5),
        (node("Gelu", "x", approximate="tanh"), 24 * 9),
        (node("HardSwish", "x"), 24 * 5),
        (node("Softsign", "x"), 24 * 3),
        (node("Mean", "x x x"), 24 * 3),
        (node("Sum", "x x x"), 24 * 2),
        (node("Max", "x x"), 24),
        (node("Softmax", "x"), 6 * (3 + 4 + 4 + 3 + 4)),
        (node("Softmax", "x", axis=0), 12 * (1 + 2 + 2 + 1 + 2)),
        (node("ReduceMean", "x", axes=[2]), 6 * 3 + 6),
        (node("GlobalAveragePool", "x"), 6 * 3 + 6),
        (node("MaxPool", "x", kernel_shape=[2]), 18 * 1),
        (node("AveragePool", "x", kernel_shape=[2]), 18 * 2),
        (node("Transpose", "x"), 0),
        (node("Flatten", "x"), 0),
        (node("Concat", "x x", axis=0), 0),
        (node("Identity", "x"), 0),
        (node("Dropout", "x"), 0),
        (node("Cast", "x", to=10), 0),
    ],
)
def test_element_wise_work_and_movement(tmp_path: Path, made: onnx.NodeProto, full: int) -> None:
    """On 2×3×4 elements, by the table in design.md; of a reduction with `axes`, opset 13 has them as an attribute."""
    opset = 20 if made.op_type in ("Gelu", "HardSwish") else 13
    assert of_node(tmp_path, made, {"x": [2, 3, 4]}, opset=opset) == (0, full)


def test_old_softmax_flattens_from_its_axis_on(tmp_path: Path) -> None:
    assert of_node(tmp_path, node("Softmax", "x", axis=1), {"x": [2, 3, 4]}, opset=11)[1] == 2 * (5 * 12 - 2)


def test_normalisations(tmp_path: Path) -> None:
    n = 2 * 6 * 5 * 5
    rule = weights(s=(6,), b=(6,), m=(6,), v=(6,))
    assert of_node(tmp_path, node("BatchNormalization", "x s b m v"), {"x": [2, 6, 5, 5]}, rule) == (0, 2 * n)
    groups, size = 2 * 6, 25  # mean: size−1 and a division; differences; squares' mean; ε, root; scale, γ and β
    work = groups * ((size - 1) + 1 + size + size + (size - 1) + 1 + 1 + 1 + size) + 2 * n
    assert of_node(tmp_path, node("InstanceNormalization", "x s b"), {"x": [2, 6, 5, 5]}, rule[:2])[1] == work
    rows, size = 2 * 6 * 5, 5
    work = rows * ((size - 1) + 1 + size + size + (size - 1) + 1 + 1 + 1 + size) + 2 * n
    layer = node("LayerNormalization", "x s b")
    assert of_node(tmp_path, layer, {"x": [2, 6, 5, 5]}, weights(s=(5,), b=(5,)))[1] == work


def test_an_op_without_a_lowering_is_unknown_under_its_own_name(tmp_path: Path) -> None:
    body = graph([node("Det", "x")], {"x": [2, 3, 3]})
    source = read(tmp_path, model(body))
    assert (counts(source).total, counts(source).coverage.unknown) == (None, {"onnx::Det": 1})
    own = helper.make_node("Magic", ["x"], ["y"], domain="my.ops")
    contents = model(graph([own], {"x": [2, 3]}))
    contents.opset_import.append(helper.make_opsetid("my.ops", 1))
    source = read(tmp_path, contents)
    assert counts(source).coverage.unknown == {"my.ops::Magic": 1}
    assert [note.code for note in source.trace.notes] == ["onnx-weights", "unknown-shape"]


def test_what_follows_an_unknown_shape_is_free_or_unknown_by_its_kind(tmp_path: Path) -> None:
    """NonZero's output has as many columns as there are values; a MatMul after it cannot be counted, a Relu can."""
    found = [node("NonZero", "x", "i"), node("Cast", "i", "f", to=FLOAT), node("Relu", "f")]
    assert of_node(tmp_path, found, {"x": [2, 3]}) == (0, None)
    product_of = [*found[:2], node("MatMul", "f w")]
    assert of_node(tmp_path, product_of, {"x": [2, 3]}, weights(w=(7, 5))) == (None, None)


# Shapes


def test_shape_arithmetic_is_followed(tmp_path: Path) -> None:
    """What exporters write for x.view(x.size(0) * 2, -1): no work, and the product after it is counted."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Mul", "n two", "n2"),
        node("Concat", "n2 minus", "t", axis=0),
        node("Reshape", "x t", "r"),
        node("MatMul", "r w"),
    ]
    constants = [*ints(zero=[0], two=[2], minus=[-1]), *weights(w=(6, 5))]
    source = read(tmp_path, model(graph(nodes, {"x": [4, 3, 4]}, constants)))
    assert counts(source, "full").total == 2 * (8 * 6 * 5)
    assert counts(source).layers[0].outputs == ((8, 5),)


def test_an_open_size_is_asked_for_and_taken(tmp_path: Path) -> None:
    contents = model(graph([node("MatMul", "x w")], {"x": ["batch", 3]}, weights(w=(3, 5))))
    with pytest.raises(InputError, match=r"'x' of batch×3 has open sizes: pass them, for example --input x:1x3"):
        read(tmp_path, contents)
    for asked in ("4x3", "x:4x3", "x:4x3:float32"):
        assert counts(read(tmp_path, contents, asked)).total == 4 * 3 * 5
    for asked, why in [
        ("4x2", "cannot be 4×2"),
        ("y:4x3", "fits no open input"),
        ("4x3:int64", "is float32 in this graph, not int64"),
    ]:
        with pytest.raises(InputError, match=why):
            read(tmp_path, contents, asked)


def test_one_name_is_one_size(tmp_path: Path) -> None:
    contents = model(graph([node("Gemm", "x x", transB=1)], {"x": ["n", "n"]}))
    assert counts(read(tmp_path, contents, "4x4")).total == 64
    with pytest.raises(InputError, match="cannot be 4×5"):
        read(tmp_path, contents, "4x5")


def test_a_branch_decided_by_a_constant_is_walked_and_another_is_unknown(tmp_path: Path) -> None:
    def branch(name: str, op: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(name, FLOAT, None)
        return helper.make_graph([node(op, "x w", name)], name, [], [out])

    choice = node("If", "c", then_branch=branch("a", "MatMul"), else_branch=branch("b", "Gemm"))
    constants = weights(w=(3, 3))
    yes = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    source = read(tmp_path, model(graph([choice], {"x": [2, 3]}, [*constants, yes])))
    assert counts(source).total == 2 * 3 * 3
    assert "branch" in [note.code for note in source.trace.notes]
    given = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    body = graph([choice], {"x": [2, 3]}, constants)
    body.input.append(given)
    source = read(tmp_path, model(body))
    assert (counts(source).total, counts(source).coverage.unknown) == (None, {"onnx::If": 1})


def test_functions_are_put_in_where_they_are_called(tmp_path: Path) -> None:
    inner = helper.make_function(
        "my", "Twice", ["a", "b"], ["o"], [node("MatMul", "a b", "t"), node("MatMul", "t b", "o")], _opset(18)
    )
    call = helper.make_node("Twice", ["x", "w"], ["y"], domain="my")
    contents = model(graph([call], {"x": [2, 3]}, weights(w=(3, 3))), functions=[inner])
    contents.opset_import.append(helper.make_opsetid("my", 1))
    assert counts(read(tmp_path, contents)).total == 2 * (2 * 3 * 3)


def _opset(version: int) -> list[onnx.OperatorSetIdProto]:
    return [helper.make_opsetid("", version)]


# Parameters, rows, memory


def test_what_counts_as_a_parameter(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x conv.weight conv.bias", "a"),
        node("BatchNormalization", "a bn.weight bn.bias bn.running_mean bn.running_var", "b"),
        node("Mul", "b half", "c"),
        node("Reshape", "c shape"),
    ]
    half = helper.make_tensor("half", FLOAT, [], [0.5])
    named = weights(
        **{
            "conv.weight": (6, 3, 2, 2),
            "conv.bias": (6,),
            **{f"bn.{name}": (6,) for name in ("weight", "bias", "running_mean", "running_var")},
        }
    )
    source = read(tmp_path, model(graph(nodes, {"x": [1, 3, 5, 5]}, [*named, half, *ints(shape=[1, -1])])))
    assert sum(param.numel for param in source.trace.params) == 6 * 3 * 4 + 6 + 6 + 6
    assert {item.name for item in source.trace.buffers} == {"bn.running_mean", "bn.running_var"}
    made = profile_loaded(source)
    assert sum(layer.params for layer in made.layers) == made.params
    assert made.macs == 4 * 4 * 6 * 3 * 4 == sum(layer.amount.value for layer in made.layers if layer.amount)


def test_rows_carry_the_names_that_exporters_give(tmp_path: Path) -> None:
    first = helper.make_node("MatMul", ["x", "w"], ["a"], name="/layers/layers.0/fc/MatMul")
    second = helper.make_node("Relu", ["a"], ["b"], name="plain.name")
    third = node("Softmax", "b")
    for key, value in (
        ("pkg.torch.onnx.name_scopes", "['', 'head', 'head.act', 'softmax']"),
        ("pkg.torch.onnx.class_hierarchy", "['a.Net', 'a.Head', 'torch.nn.Softmax', 'aten.softmax.int']"),
    ):
        entry = third.metadata_props.add()
        entry.key, entry.value = key, value
    source = read(tmp_path, model(graph([first, second, third], {"x": [2, 3]}, weights(w=(3, 5)))))
    rows = {layer.path: (layer.type, layer.params, layer.outputs) for layer in counts(source).layers}
    assert rows["layers.0.fc"] == ("onnx.MatMul", 15, ((2, 5),))
    assert rows["plain_name"] == ("onnx.Relu", 0, ((2, 5),))
    assert rows["head.act"] == ("torch.nn.Softmax", 0, ((2, 5),))
    assert rows["head"][0] == "a.Head"
    assert rows[""][0] == "a.Net"


def test_a_shared_constant_is_one_parameter(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "a"), node("Identity", "w", "v"), node("MatMul", "a v")]
    source = read(tmp_path, model(graph(nodes, {"x": [2, 3]}, weights(w=(3, 3)))))
    assert sum(param.numel for param in source.trace.params) == 9
    assert counts(source).total == 2 * 18


def test_activations_die_after_their_last_use(tmp_path: Path) -> None:
    """x (24 B) → a (40 B) → b (40 B) → y: a dies once b is made, so 24 + 40 + 40 bytes are the peak."""
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "b"), node("Relu", "b")]
    source = read(tmp_path, model(graph(nodes, {"x": [2, 3]}, weights(w=(3, 5)))))
    assert memory(source.trace).peak.nbytes == 24 + 40 + 40


def test_other_tools_conventions_are_refused(tmp_path: Path) -> None:
    source = read(tmp_path, model(graph([node("Relu", "x")], {"x": [2, 3]})))
    with pytest.raises(InputError, match="convention thop gives what that tool makes of a PyTorch module"):
        profile_loaded(source, "thop")


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = saved(tmp_path, model(graph([node("MatMul", "x w")], {"x": [2, 3]}, weights(w=(3, 5)))))
    code = (
        "import sys; from effbench import api; "
        f"assert api.profile_loaded(api.load({path!r})).macs == 30; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Files that are not what they seem


def _one_line(folder: Path, content: onnx.ModelProto | bytes, *inputs: str) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, content, *inputs)
    assert "\n" not in str(caught.value)
    assert "net.onnx" in str(caught.value)
    return str(caught.value)


def _refusal(folder: Path, content: bytes) -> str:
    try:
        read(folder, content)
    except InputError as error:
        return str(error)
    return ""


def test_truncated_and_foreign_files_give_one_line(tmp_path: Path) -> None:
    whole = model(graph([node("MatMul", "x w")], {"x": [2, 3]}, weights(w=(3, 5)))).SerializeToString()
    told = [text for length in range(len(whole)) if (text := _refusal(tmp_path, whole[:length]))]
    assert not any("\n" in text for text in told)
    assert len(told) > 0.9 * len(whole)  # a cut at the end of a part leaves a graph with fewer of them
    for content in (b"", b"hello", bytes(1000), b"\xff" * 1000):
        _one_line(tmp_path, content)


def test_a_cycle_is_named(tmp_path: Path) -> None:
    nodes = [node("Relu", "b", "a"), node("Relu", "a", "b"), node("Add", "x a")]
    assert "reads 'b', which nothing before it makes: the graph has a cycle" in _one_line(
        tmp_path, model(graph(nodes, {"x": [2, 3]}))
    )


def test_names_made_twice_and_sizes_below_zero_are_refused(tmp_path: Path) -> None:
    twice = [node("Relu", "x", "y"), node("Abs", "x", "y")]
    assert "is there already" in _one_line(tmp_path, model(graph(twice, {"x": [2, 3]})))
    negative = TensorProto(name="w", data_type=FLOAT, dims=[-3, 5])
    assert "negative size" in _one_line(tmp_path, model(graph([node("MatMul", "x w")], {"x": [2, 3]}, [negative])))


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    conv = model(graph([node("Conv", "x w")], {"x": [1, 3, 8, 8]}, weights(w=(4, 5, 3, 3))))
    assert "a weight for 5 channels is given an input of 3" in _one_line(tmp_path, conv)
    wrong = model(graph([node("MatMul", "x w")], {"x": [2, 3]}, weights(w=(4, 5))))
    assert "(MatMul)" in _one_line(tmp_path, wrong)


def test_functions_that_call_themselves_or_explode_are_refused(tmp_path: Path) -> None:
    def function(name: str, *callees: str) -> onnx.FunctionProto:
        nodes = [helper.make_node(callee, ["a"], [f"o{i}"], domain="my") for i, callee in enumerate(callees)]
        return helper.make_function("my", name, ["a"], ["o0"], nodes, [helper.make_opsetid("my", 1)])

    def calling(*functions: onnx.FunctionProto) -> onnx.ModelProto:
        call = helper.make_node("F0", ["x"], ["y"], domain="my")
        made = model(graph([call], {"x": [2, 3]}), functions=list(functions))
        made.opset_import.append(helper.make_opsetid("my", 1))
        return made

    assert "in a circle" in _one_line(tmp_path, calling(function("F0", "F1"), function("F1", "F0")))
    doubling = [function(f"F{level}", f"F{level + 1}", f"F{level + 1}") for level in range(60)]
    leaf = helper.make_function("my", "F60", ["a"], ["o0"], [node("Relu", "a", "o0")], _opset(18))
    assert "grow to more than 1,000,000 nodes" in _one_line(tmp_path, calling(*doubling, leaf))


def test_a_huge_computed_constant_is_not_computed(tmp_path: Path) -> None:
    """10¹² zeros stay a shape, and so does a range of as many numbers."""
    full = model(graph([node("ConstantOfShape", "s", "a"), node("Add", "x a")], {"x": [1]}, ints(s=[10**6, 10**6])))
    assert counts(read(tmp_path, full), "full").total == 10**12
    limits = [helper.make_tensor(name, INT64, [], [value]) for name, value in (("a", 0), ("b", 10**12), ("c", 1))]
    ranged = model(
        graph([node("Range", "a b c", "r"), node("Cast", "r", "f", to=FLOAT), node("Add", "x f")], {"x": [1]}, limits)
    )
    assert counts(read(tmp_path, ranged), "full").total == 10**12


def test_weights_in_another_file_are_not_looked_for(tmp_path: Path) -> None:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[3, 5], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="/etc/passwd")
    source = read(tmp_path, model(graph([node("MatMul", "x w")], {"x": [2, 3]}, [weight])))
    assert (counts(source).total, sum(math.prod(param.shape) for param in source.trace.params)) == (30, 15)
