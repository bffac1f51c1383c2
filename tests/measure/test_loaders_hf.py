"""Models of transformers from small config.json files, against their closed forms."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from effbench.api import load, profile_loaded
from effbench.errors import InputError
from effbench.measure.source import Loaded
from effbench.profiles import Profile

pytest.importorskip("transformers")

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 100,
}
H, LAYERS, HEADS, F, V = 32, 3, 4, 48, 100


def config(folder: Path, **entries: Any) -> str:
    (folder / "config.json").write_text(json.dumps(entries), encoding="utf-8")
    return f"hf:{folder}"


def profiled(folder: Path, *inputs: str, args: dict[str, Any] | None = None, **entries: Any) -> Profile:
    return profile_loaded(load(config(folder, **entries), args, inputs))


def attention_and_mlp(length: int) -> int:
    """One layer: q, k, v and the output, QKᵀ and AV, two linear layers."""
    return 4 * length * H * H + 2 * length * length * H + 2 * length * H * F


def test_bert(tmp_path: Path) -> None:
    made = profiled(tmp_path, model_type="bert", architectures=["BertForMaskedLM"], max_position_embeddings=64, **TEXT)
    length = 64  # as many as there are positions, fewer than the usual 128
    assert made.trace.inputs[0].shape == (1, length)
    assert made.trace.inputs[0].dtype == "int64"
    assert made.macs == LAYERS * attention_and_mlp(length) + length * H * H + length * H * V
    embeddings = (V + 64 + 2) * H + 2 * H
    layer = 4 * (H * H + H) + (H * F + F) + (F * H + H) + 4 * H
    head = H * H + H + 2 * H + V  # its matrix is that of the embeddings
    assert made.params == embeddings + LAYERS * layer + head
    assert made.name == tmp_path.name


def test_vit(tmp_path: Path) -> None:
    entries: dict[str, Any] = {key: value for key, value in TEXT.items() if key != "vocab_size"}
    made = profiled(
        tmp_path,
        model_type="vit",
        architectures=["ViTForImageClassification"],
        image_size=32,
        patch_size=8,
        dtype="bfloat16",
        **entries,
    )
    assert (made.trace.inputs[0].shape, made.trace.inputs[0].dtype) == ((1, 3, 32, 32), "bfloat16")
    patches = (32 // 8) ** 2
    labels = 2
    assert made.macs == patches * (3 * 8 * 8) * H + LAYERS * attention_and_mlp(patches + 1) + H * labels
    layer = 4 * (H * H + H) + (H * F + F) + (F * H + H) + 4 * H
    embeddings = (3 * 8 * 8) * H + H + H + (patches + 1) * H
    assert made.params == embeddings + LAYERS * layer + 2 * H + H * labels + labels
    assert made.to_dict()["params"]["bytes"] == 2 * made.params


def llama_macs(length: int, h: int, layers: int, heads: int, groups: int, f: int, v: int) -> tuple[int, int]:
    """The closed form, and what the rotary angles add where they are an outer product (transformers up to 4)."""
    width = h // heads
    layer = 2 * length * h * h + 2 * length * h * groups * width + 2 * heads * length**2 * width + 3 * length * h * f
    return layers * layer + length * h * v, width // 2 * length


@pytest.mark.parametrize("asked", [(), ("2x16:int64",), ("input_ids:2x16:int64",)])
def test_llama(tmp_path: Path, asked: tuple[str, ...]) -> None:
    entries = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_key_value_heads": 2, **TEXT}
    made = profiled(tmp_path, *asked, **entries)
    samples, length = (2, 16) if asked else (1, 128)
    base, rotary = llama_macs(length, H, LAYERS, HEADS, 2, F, V)
    assert made.macs in (samples * base, samples * base + rotary)
    kv = 2 * (H // HEADS)
    assert made.params == 2 * V * H + LAYERS * (2 * H * H + 2 * H * kv + 3 * H * F + 2 * H) + H


def test_llama_of_405_billion_weights(tmp_path: Path) -> None:
    made = profiled(
        tmp_path,
        "1x8192:int64",
        model_type="llama",
        architectures=["LlamaForCausalLM"],
        hidden_size=16384,
        num_hidden_layers=126,
        num_attention_heads=128,
        num_key_value_heads=8,
        intermediate_size=53248,
        vocab_size=128256,
        max_position_embeddings=131072,
        dtype="bfloat16",
    )
    base, rotary = llama_macs(8192, 16384, 126, 128, 8, 53248, 128256)
    assert base == 3_584_579_705_241_600
    assert made.macs in (base, base + rotary)
    assert made.params == 405_853_388_800
    assert made.to_dict()["params"]["bytes"] == 2 * 405_853_388_800


@pytest.mark.parametrize(
    ("entries", "inputs"),
    [
        ({"model_type": "t5", "d_model": 32, "d_ff": 48, "num_layers": 1, "d_kv": 8, "num_heads": 4, "vocab_size": 100,
          "architectures": ["T5ForConditionalGeneration"]},
         {None: (1, 128), "decoder_input_ids": (1, 128)}),
        ({"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 16,
          "text_config": {**TEXT, "eos_token_id": 2}, "vision_config": {**TEXT, "image_size": 16, "patch_size": 8}},
         {None: (1, 77), "pixel_values": (1, 3, 16, 16)}),
        ({"model_type": "whisper", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 100,
          "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
          "num_mel_bins": 8, "max_source_positions": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
          "decoder_start_token_id": 1},
         {None: (1, 8, 100), "decoder_input_ids": (1, 128)}),
        ({"model_type": "swin", "image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1], "num_heads": [2],
          "window_size": 4},
         {None: (1, 3, 32, 32)}),
    ],
    ids=lambda item: item.get("model_type", ""),
)  # fmt: skip
def test_inputs_follow_from_the_config(
    tmp_path: Path, entries: dict[str, Any], inputs: dict[str | None, tuple[int, ...]]
) -> None:
    made = profiled(tmp_path, **entries)
    assert {item.name: item.shape for item in made.trace.inputs} == inputs
    assert made.macs


def test_entries_can_be_set(tmp_path: Path) -> None:
    entries = {"model_type": "bert", "architectures": ["BertModel"], **TEXT}
    whole = profiled(tmp_path, **entries)
    less = profiled(tmp_path, args={"num_hidden_layers": 1}, **entries)
    assert whole.macs is not None
    assert less.macs is not None
    assert whole.macs - less.macs == 2 * attention_and_mlp(128)
    assert "did you mean num_hidden_layers" in refusal(tmp_path, args={"num_hidden_layer": 1}, **entries)


def test_without_architectures_the_bare_model_is_taken(tmp_path: Path) -> None:
    made = profiled(tmp_path, model_type="bert", **TEXT)
    assert made.trace.tree[0].type.endswith(".BertModel")


def test_building_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config may name a backbone whose weights lie elsewhere."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    backbone = {"model_type": "resnet", "hidden_sizes": [8, 16], "depths": [1, 1], "embedding_size": 8}
    small: dict[str, Any] = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 5}
    heads: dict[str, Any] = {
        f"{side}_{what}": 4 for side in ("encoder", "decoder") for what in ("attention_heads", "ffn_dim")
    }
    made = profiled(
        tmp_path,
        "1x3x64x64",
        model_type="detr",
        architectures=["DetrForObjectDetection"],
        use_timm_backbone=False,
        use_pretrained_backbone=True,
        backbone_config={**backbone, "out_features": ["stage2"]},
        **small,
        **heads,
    )
    assert made.macs


# What is wrong with a config


def refusal(folder: Path, args: dict[str, Any] | None = None, text: str = "", **entries: Any) -> str:
    spec = config(folder, **entries)
    if text:
        (folder / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(spec, args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '"bert"', "{}", '{"model_type": 3}', "[" * 100_000])
def test_a_config_that_is_none_gives_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.json: (no config in JSON|names no model_type)") as caught:
        load(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({"model_type": "bertt"}, "did you mean bert"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "modeling.Net"}}, "its model is code beside it"),
        ({"model_type": "bert", "architectures": ["BertForEverything"]}, "has no model 'BertForEverything'"),
        ({"model_type": "bert", "architectures": ["AutoConfig"]}, "has no model 'AutoConfig'"),
        ({"model_type": "bert", "hidden_size": "wide"}, "bert takes no such config"),
        ({"model_type": "bert", "num_hidden_layers": 10**9}, r"num_hidden_layers = 1e\+09 is beyond any model"),
        ({"model_type": "resnet"}, "does not say what size pixel_values has: pass --input pixel_values:SHAPE:DTYPE"),
    ],
)
def test_a_config_that_fits_no_model_gives_one_line(tmp_path: Path, entries: dict[str, Any], why: str) -> None:
    assert re.search(why, refusal(tmp_path, **entries))


def test_a_folder_without_a_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hf: names a folder that has a config\.json"):
        load(f"hf:{tmp_path}")


def test_weights_beyond_this_machine_are_not_made(tmp_path: Path) -> None:
    entries = {"model_type": "bert", "architectures": ["BertModel"], **TEXT, "vocab_size": 10**12}
    source = load(config(tmp_path, **entries))
    assert isinstance(source, Loaded)
    with pytest.raises(InputError, match="GiB, this machine has"):
        source.build("cpu")
    assert sum(param.numel() for param in source.build("meta").parameters()) > 10**13
    assert torch.get_default_dtype() == torch.float32
