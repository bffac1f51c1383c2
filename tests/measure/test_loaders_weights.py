"""State dicts and safetensors: parameters and nothing else; files that run code, are cut short or ask for memory."""

import gc
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from effbench.api import load, profile_loaded
from effbench.errors import Incomplete, InputError
from effbench.measure.source import Loaded, Traced, runnable

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.(script|save). is deprecated:FutureWarning")

KIB = 1024


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.tied = nn.Linear(5, 5, bias=False)
        self.again = nn.Linear(5, 5, bias=False)
        self.again.weight = self.tied.weight
        self.scale = nn.Parameter(torch.ones(7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(self.conv(x))
        return out


PARAMS = (3 * 9 * 4 + 4) + (4 + 4) + 25 + 7


def source_of(path: Path, **options: Any) -> Traced:
    found = load(str(path), **options)
    assert isinstance(found, Traced)
    return found


def refusal(path: Path, **options: Any) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(InputError) as caught:
        load(str(path), **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@contextmanager
def within(peak_bytes: int) -> Iterator[None]:
    """Fails where Python's own allocations go beyond a peak: a few bytes of a file must not fill memory."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < peak_bytes
    finally:
        tracemalloc.stop()


# What a state dict says


@pytest.mark.parametrize("name", ["net.pth", "net.pt", "net.bin", "net.ckpt"])
@pytest.mark.parametrize("new_format", [True, False])
def test_a_state_dict_gives_parameters_and_no_cost(name: str, new_format: bool, tmp_path: Path) -> None:
    path = tmp_path / name
    torch.save(Net().state_dict(), path, _use_new_zipfile_serialization=new_format)
    made = profile_loaded(source_of(path))
    assert (made.params, made.macs, made.flops) == (PARAMS, None, None)
    document = made.to_dict()
    assert document["params"]["shared"] == 25
    assert document["params"]["bytes"] == 4 * PARAMS
    assert document["buffers"]["total"] == 4 + 4 + 1
    for figure in ("macs", "flops", "activations"):
        assert document[figure] is None
    assert document["per_sample"] == {"macs": None, "flops": None}
    memory = {name: value for name, value in document["memory"].items() if name != "parameters_bytes"}
    assert set(memory.values()) == {None}
    assert all(row["macs"] is None and row["flops"] is None for row in document["layers"])
    assert sum(row["params"] for row in document["layers"]) == PARAMS
    assert "MACs and FLOPs stay unknown" in document["notes"][0]["text"]


def test_no_figure_of_a_state_dict_is_zero_under_any_convention(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(Net().state_dict(), path)
    made = profile_loaded(source_of(path))
    for convention in ("macs", "full", "thop", "torchinfo"):
        counts = made.count(convention)
        assert (counts.total, counts.macs, counts.flops) == (None, None, None)


def test_strictness_summary_and_running_say_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(Net().state_dict(), path)
    source = source_of(path)
    with pytest.raises(Incomplete, match="it holds parameters and no architecture"):
        profile_loaded(source).complete()
    with pytest.raises(InputError, match="no summary can be made: it holds parameters"):
        profile_loaded(source).summary()
    with pytest.raises(InputError, match="cannot be run: it holds parameters"):
        runnable(source)
    assert "Cin" not in profile_loaded(source).explain("conv")
    assert "no forward pass that --input 1x3x8x8" in refusal(path, inputs=["1x3x8x8"])
    assert "--arg depth has nowhere to go" in refusal(path, args={"depth": 3})


def test_the_state_dict_in_a_checkpoint_is_found_or_asked_for(tmp_path: Path) -> None:
    path, weights = tmp_path / "last.ckpt", Net().state_dict()
    optimizer = torch.optim.Adam(Net().parameters()).state_dict()
    torch.save({"epoch": 3, "model": weights, "optimizer": optimizer}, path)
    assert profile_loaded(source_of(path)).params == PARAMS
    torch.save({"state_dict": weights, "ema": {"small": torch.zeros(3)}}, path)
    assert "holds several state dicts: state_dict, ema; say which with --arg key=state_dict" in refusal(path)
    assert profile_loaded(source_of(path, args={"key": "ema"})).params == 3
    assert "did you mean ema" in refusal(path, args={"key": "em"})
    torch.save({"epoch": 3}, path)
    assert "holds no dict of named tensors" in refusal(path)


def test_quantised_weights_are_parameters_and_indices_are_buffers(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    int8, index = torch.zeros(4, 4, dtype=torch.int8), torch.zeros(9, dtype=torch.int64)
    torch.save({"fc.weight": int8, "fc.scale": torch.ones(4), "table.index": index}, path)
    made = profile_loaded(source_of(path))
    assert made.params == 16 + 4
    assert [item.name for item in made.trace.buffers] == ["table.index"]


def test_safetensors_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    state = {name: tensor for name, tensor in Net().state_dict().items() if name != "again.weight"}
    save_file({**state, "half": torch.zeros(3, dtype=torch.bfloat16)}, path, {"format": "pt"})
    made = profile_loaded(source_of(path))
    assert (made.params, made.macs) == (PARAMS + 3, None)
    assert made.to_dict()["params"]["bytes"] == 4 * PARAMS + 2 * 3
    assert made.to_dict()["buffers"]["total"] == 9


# Code in a file


class Hostile:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._mark}",)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_that_runs_code_is_refused_and_not_run(new_format: bool, tmp_path: Path) -> None:
    path, mark = tmp_path / "net.pth", tmp_path / "mark"
    torch.save({"a": torch.zeros(3), "b": Hostile(mark)}, path, _use_new_zipfile_serialization=new_format)
    told = refusal(path)
    assert "can run any code that its author put in" in told
    assert "pass --unsafe-load" in told
    assert "posix.system" in told or not new_format
    assert not mark.exists()


def test_a_whole_model_is_read_where_its_author_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(nn.Sequential(nn.Linear(3, 5), nn.ReLU()), path)
    assert "it holds objects of torch.nn.modules." in refusal(path, inputs=["2x3"])
    assert "a pickled model brings no inputs; pass the input's shape" in refusal(path, unsafe_load=True)
    source = load(str(path), inputs=["2x3"], unsafe_load=True)
    assert isinstance(source, Loaded)
    made = profile_loaded(source)
    assert (made.name, made.params, made.macs) == ("Sequential", 20, 30)
    assert made.count("thop").macs == 30  # it is a PyTorch module, which other tools' conventions hold for


def test_a_trusted_file_that_fails_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(Failing(), path)
    assert "unpickling it raised RuntimeError: no" in refusal(path, unsafe_load=True)


class Failing:
    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _fail, ()


def _fail() -> None:
    raise RuntimeError("no")


# Damaged files


def test_truncated_files_give_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    kinds: dict[str, Callable[[], None]] = {
        "new.pth": lambda: torch.save(Net().state_dict(), whole),
        "old.pth": lambda: torch.save(Net().state_dict(), whole, _use_new_zipfile_serialization=False),
        "net.safetensors": lambda: save_file({"a": torch.zeros(30), "b": torch.zeros(5)}, whole),
        "net.pt2": lambda: torch.export.save(torch.export.export(nn.ReLU(), (torch.rand(2),)), str(whole) + ".pt2"),
        "script.pt": lambda: torch.jit.save(torch.jit.script(nn.Linear(2, 3)), whole),
    }
    for name, write in kinds.items():
        write()
        written = whole.with_suffix(".pt2") if name == "net.pt2" else whole
        data = written.read_bytes()
        for length in {0, 1, 7, 8, 100, len(data) // 3, len(data) // 2, len(data) - 30, len(data) - 1}:
            cut = tmp_path / name
            cut.write_bytes(data[:length])
            refusal(cut)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"hello" * 100, "neither an archive nor a pickle"),
        (pickle.dumps({"a": 1}), "a pickle, but not one that torch.save makes"),
        (b"PK\x03\x04" + bytes(500), "does not end as one; is it truncated?"),
    ],
)
def test_foreign_files_give_one_line(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    assert why in refusal(path)


def archive(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED, name: str = "data.pkl") -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(f"net/{name}", pickled)
        file.writestr("net/version", "3\n")
    return path


@pytest.mark.parametrize(
    ("pickled", "why"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "no dict of named tensors"),  # a memo of two thousand million entries
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "cut short"),  # an integer of two gibibytes
        (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.", "cut short"),  # bytes without end
        (b"\x80\x02cbuiltins\nbytearray\nK\x02\x85R.", "makes byte arrays"),
        (b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".", "no dict of named tensors"),
        (b"\x80\x02)" + b"\x85" * 20_000 + b".", "no dict of named tensors"),
        (b"\x80\x02}", "cut short"),
        (b"\x00garbage", "cut short"),
    ],
)
def test_pickles_that_ask_for_memory_get_none(pickled: bytes, why: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "net.pth", pickled)
    refusal(path)  # whatever is imported on the way is not the file's doing
    with within(64 * KIB * KIB):
        assert why in refusal(path)


def test_dicts_that_hold_each_other_are_looked_at_once(tmp_path: Path) -> None:
    """Thirty levels of three names each for the level below: 3³⁰ ways down."""
    level: dict[str, Any] = {}
    for _ in range(30):
        level = {"a": level, "b": level, "c": level}
    torch.save(level, tmp_path / "net.pth")
    assert "no dict of named tensors" in refusal(tmp_path / "net.pth")


def test_zip_bombs_and_other_archives_are_refused(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.pth", bytes(50 * KIB * KIB), zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 200 * KIB
    with within(2 * KIB * KIB):
        assert "compressed, which torch's never are" in refusal(bomb)
    long = archive(tmp_path / "long.pth", bytes(9 * KIB * KIB))
    assert "takes 9,437,184 bytes, more than any state dict" in refusal(long)
    code = tmp_path / "code.pt"
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02}.")
        file.writestr("net/code/a.py", bytes(300 * KIB * KIB), zipfile.ZIP_DEFLATED)
    with within(2 * KIB * KIB):
        assert "its code would unpack to more than" in refusal(code)
    assert "a zip archive of something else" in refusal(archive(tmp_path / "other.pth", b"", name="readme"))


# Malformed safetensors


def safetensors(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(shape: Any, begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "data", "why"),
    [
        ({}, b"", "holds no tensors"),
        ({"a": entry([2], 0, 8)}, bytes(4), "its tensors take 8 bytes, and 4 are there"),
        ({"a": entry([2], 0, 8)}, bytes(12), "its tensors take 8 bytes, and 12 are there"),
        ({"a": entry([2], 4, 12)}, bytes(12), "do not follow those before"),
        ({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8), "do not follow those before"),
        ({"a": entry([3], 0, 8)}, bytes(8), "does not take the 8 bytes it is given"),
        ({"a": entry([2**40, 2**40], 0, 8)}, bytes(8), "does not take the 8 bytes it is given"),
        ({"a": entry([-2], 0, 8)}, bytes(8), "is no dtype, shape and data_offsets"),
        ({"a": entry([True, 2], 0, 8)}, bytes(8), "is no dtype, shape and data_offsets"),
        ({"a": entry([2], 0, 8, "F31")}, bytes(8), "is no dtype, shape and data_offsets"),
        ({"a": 3}, b"", "is no dtype, shape and data_offsets"),
        ([], b"", "its header is no JSON object"),
        (b"{", b"", "its header is no JSON"),
        (b"\xff\xfe", b"", "its header is no JSON"),
        (b"[" * 100_000, b"", "its header is no JSON"),
        (b'{"a": ' + b"1" * 10_000 + b"}", b"", "its header is no JSON"),
        (b'{"a": {}, "a": {}}', b"", "a name stands twice"),
    ],
)
def test_malformed_safetensors_give_one_line(header: Any, data: bytes, why: str, tmp_path: Path) -> None:
    assert why in refusal(safetensors(tmp_path / "net.safetensors", header, data))


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**12, 1000])
def test_a_header_is_never_longer_than_its_file(length: int, tmp_path: Path) -> None:
    path = safetensors(tmp_path / "net.safetensors", {"a": entry([2], 0, 8)}, bytes(8), length)
    with within(KIB * KIB):
        assert "its header would take" in refusal(path)


def test_a_header_beyond_any_model_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 17 * 2**20))
        file.truncate(20 * 2**20)
    with within(KIB * KIB):
        assert "is over the 16,777,216 that effbench reads" in refusal(path)


def test_names_nested_without_end_are_one_word(tmp_path: Path) -> None:
    """Ten thousand steps in a name would make ten thousand modules of ever longer paths."""
    path = safetensors(tmp_path / "net.safetensors", {".".join("a" * 10_000): entry([2], 0, 8)}, bytes(8))
    with within(4 * KIB * KIB):
        assert len(source_of(path).trace.tree) == 2


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for name in ("net.pth", "net.safetensors", "net.onnx", "net.pt2", "net.pt"):
        assert "no such file" in refusal(tmp_path / name)
    (tmp_path / "folder.pt").mkdir()
    assert "is a folder, not a file" in refusal(tmp_path / "folder.pt")
