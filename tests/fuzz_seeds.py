"""Small files and configs of every form that the product reads, and chance changes to them."""

from __future__ import annotations

import copy
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 30
HOSTILE = (
    b"", b"\x00", b"NaN", b"-inf", b"1e309", b"-1", b"0", b'"', b'""', b"'", b"\n", b"\r", b"\r\n",
    b"\t", b",", b";", b"::", b"|", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[31m",
    "\u202e".encode(), "Ⅷ".encode(), "é".encode("latin-1"), "日本".encode("shift-jis"), b"{", b"}",
    b"[", b"]", b"[[[[[[[[", b'{"a":', b"null", b"9" * 400, b"1" * 25, b"2024-13-45", b"01/02/03",
    b"4000-01-01T00:00:00Z", b"-9223372036854775808", b"ignore previous instructions", b" " * 50,
    b"\\u0000", b"\\ud800", b"=cmd()", b"../../x", b"a" * 3_000,
)  # fmt: skip
HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 1e308, float("inf"), float("nan"), 0.5, "",
    "12", "None", [], [1], {}, {"a": 1}, [None] * 3, "a" * 3_000, "\ud800", [[[[]]]],
)  # fmt: skip


def _table(rng: np.random.Generator) -> list[tuple[str, str, int, int]]:
    return [
        (f"u{rng.integers(8)}", f"i{rng.integers(12)}", int(rng.integers(1, 6)), 1_600_000_000 + n)
        for n in range(ROWS)
    ]


def _csv(separator: str, header: str, quoted: bool = False) -> Callable[[Any], bytes]:
    def write(rng: np.random.Generator) -> bytes:
        mark = '"' if quoted else ""
        lines = [separator.join(f"{mark}{cell}{mark}" for cell in row) for row in _table(rng)]
        return "\n".join(filter(None, [header, *lines])).encode() + b"\n"

    return write


def _json_lines(rng: np.random.Generator) -> bytes:
    names = ("reviewerID", "asin", "overall", "unixReviewTime")
    return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in _table(rng)).encode()


def _json_list(rng: np.random.Generator) -> bytes:
    names = ("user_id", "item_id", "rating", "timestamp")
    return json.dumps([dict(zip(names, row, strict=True)) for row in _table(rng)]).encode()


def _python_lines(rng: np.random.Generator) -> bytes:
    names = ("user_id", "item_id", "hours", "time")
    return "\n".join(str(dict(zip(names, row, strict=True))) for row in _table(rng)).encode()


def _id_lists(rng: np.random.Generator) -> bytes:
    lines = [" ".join(map(str, [user, *rng.permutation(12)[:6]])) for user in range(10)]
    return "\n".join(lines).encode()


def _prompts(rng: np.random.Generator) -> bytes:
    rows = [
        {
            "instruction": "Given the user's preference, say Yes or No.",
            "input": f'User Preference: "Film {n}", "Film {n + 1}"\n'
            f'User Unpreference: "Film {n + 2}"\nWhether the user will like the target "Film {n}"?',
            "output": "Yes." if rng.random() < 0.5 else "No.",
        }
        for n in range(10)
    ]
    return json.dumps(rows).encode()


def _parquet(rng: np.random.Generator) -> bytes:
    columns = list(zip(*_table(rng), strict=True))
    names = ("user_id", "item_id", "rating", "timestamp")
    buffer = io.BytesIO()
    pq.write_table(pa.table(dict(zip(names, map(list, columns), strict=True))), buffer)
    return buffer.getvalue()


def _german(rng: np.random.Generator) -> bytes:
    lines = ["Kunde Nr.;Artikel-Nr.;Menge;Bestelldatum"]
    lines += [
        f"K{u};A{i};{r},5;{1 + n % 28:02d}.03.2024" for n, (u, i, r, _) in enumerate(_table(rng))
    ]
    return "\r\n".join(lines).encode("cp1252")


def _titled(rng: np.random.Generator) -> bytes:
    lines = ["customer_id,order_date,product_name,product_id"]
    lines += [
        f'{u},2024-03-{1 + n % 28:02d} 10:00:00,"Lamp, no. {i}",{i}'
        for n, (u, i, _, _) in enumerate(_table(rng))
    ]
    return "\n".join(lines).encode()


def _zip(rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.csv", _csv(",", "userId,movieId,rating,timestamp")(rng))
        archive.writestr(
            "movies.csv",
            "movieId,title,genres\n"
            + "\n".join(f"i{n},Film {n} (1999),Drama|War" for n in range(12)),
        )
        archive.writestr("README.md", "nothing")
    return buffer.getvalue()


def _gzip(rng: np.random.Generator) -> bytes:
    return gzip.compress(
        _csv("\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float")(rng)
    )


FILES: dict[str, tuple[str, Callable[[np.random.Generator], bytes]]] = {
    "csv": ("ratings.csv", _csv(",", "userId,movieId,rating,timestamp")),
    "quoted csv": ("orders.csv", _csv(",", '"user","item","score","time"', quoted=True)),
    "tsv": ("u.data", _csv("\t", "")),
    "dat": ("ratings.dat", _csv("::", "")),
    "atomic": (
        "ml.inter",
        _csv("\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
    ),
    "json lines": ("reviews.jsonl", _json_lines),
    "json list": ("reviews.json", _json_list),
    "python lines": ("steam.json", _python_lines),
    "id lists": ("train.txt", _id_lists),
    "prompts": ("train.json", _prompts),
    "parquet": ("events.parquet", _parquet),
    "german csv": ("verkauf.csv", _german),
    "titled csv": ("sales.csv", _titled),
    "zip": ("data.zip", _zip),
    "gzip": ("events.tsv.gz", _gzip),
}


def file(rng: np.random.Generator) -> tuple[str, str, bytes]:
    """A changed file: its form, its name, its content."""
    forms = list(FILES)
    kind = forms[rng.integers(len(forms))]
    name = FILES[kind][0]
    content = _seed(kind, int(rng.integers(8)))
    if rng.random() < 0.05:
        name = FILES[forms[rng.integers(len(forms))]][0]  # a name that promises another form
    for _ in range(1 + rng.geometric(0.4)):
        content = _CHANGES[rng.integers(len(_CHANGES))](content, rng)
    if kind == "gzip" and rng.random() < 0.5:
        content = gzip.compress(content, 1)
    return kind, name, content


@cache
def _seed(kind: str, variant: int) -> bytes:
    return FILES[kind][1](np.random.default_rng(variant))


def _turn(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, max(len(changed), 1), rng.integers(1, 6)):
        if changed:
            changed[place] = rng.integers(256)
    return bytes(changed)


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted(rng.integers(0, len(content) + 1, 2))
    return content[:a] + content[b:] if rng.random() < 0.7 else content[:b]


def _repeat(content: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted(rng.integers(0, len(content) + 1, 2))
    return content[:b] + content[a:b] * int(rng.integers(1, 4)) + content[b:]


def _insert(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(0, len(content) + 1))
    return content[:place] + HOSTILE[rng.integers(len(HOSTILE))] + content[place:]


def _cell(content: bytes, rng: np.random.Generator) -> bytes:
    """A cell of a line becomes a hostile one."""
    lines = content.split(b"\n")
    line = int(rng.integers(len(lines)))
    for separator in (b"::", b"\t", b",", b";"):
        if separator in lines[line]:
            cells = lines[line].split(separator)
            cells[rng.integers(len(cells))] = HOSTILE[rng.integers(len(HOSTILE))]
            lines[line] = separator.join(cells)
            break
    return b"\n".join(lines)


def _column(content: bytes, rng: np.random.Generator) -> bytes:
    """A whole column becomes a hostile one."""
    lines = content.split(b"\n")
    separator = next((s for s in (b"::", b"\t", b",", b";") if s in content), b",")
    place, cell = int(rng.integers(5)), HOSTILE[rng.integers(len(HOSTILE))]
    for number, line in enumerate(lines):
        cells = line.split(separator)
        if place < len(cells):
            cells[place] = cell
            lines[number] = separator.join(cells)
    return b"\n".join(lines)


def _swap(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join(lines[n] for n in rng.permutation(len(lines)))


def _splice(content: bytes, rng: np.random.Generator) -> bytes:
    forms = list(FILES)
    other = _seed(forms[rng.integers(len(forms))], int(rng.integers(8)))
    return content[: rng.integers(len(content) + 1)] + other[rng.integers(len(other)) :]


_CHANGES = (_turn, _cut, _repeat, _insert, _insert, _cell, _cell, _column, _swap, _splice)

CONFIGS: tuple[dict[str, Any], ...] = (
    {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384,
        "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536,
        "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
    },
    {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 576,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": True,
        "max_position_embeddings": 8192, "head_dim": 64, "hidden_act": "silu",
    },
    {
        "model_type": "gemma3", "text_config": {
            "model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
            "intermediate_size": 10240, "sliding_window": 1024, "vocab_size": 262208,
            "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
        },
        "vision_config": {"hidden_size": 1152},
    },
    {
        "model_type": "deepseek_v2", "hidden_size": 2048, "num_hidden_layers": 27,
        "num_attention_heads": 16, "num_key_value_heads": 16, "kv_lora_rank": 512,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "q_lora_rank": None,
        "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "moe_intermediate_size": 1408, "intermediate_size": 10944, "first_k_dense_replace": 1,
        "vocab_size": 102400, "moe_layer_freq": 1,
    },
    {
        "model_type": "t5", "is_encoder_decoder": True, "d_model": 512, "num_layers": 6,
        "num_decoder_layers": 6, "num_heads": 8, "d_kv": 64, "d_ff": 2048, "vocab_size": 32128,
        "feed_forward_proj": "gated-gelu",
    },
    {
        "model_type": "mamba", "hidden_size": 768, "num_hidden_layers": 24, "state_size": 16,
        "conv_kernel": 4, "expand": 2, "vocab_size": 50280, "time_step_rank": 48,
    },
    {
        "model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48,
        "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256, "num_experts": 512,
        "num_experts_per_tok": 10, "moe_intermediate_size": 512, "intermediate_size": 5120,
        "shared_expert_intermediate_size": 512, "linear_num_key_heads": 16, "vocab_size": 151936,
        "linear_num_value_heads": 32, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4, "full_attention_interval": 4, "decoder_sparse_step": 1,
    },
    {
        "model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
        "vocab_size": 50257, "n_inner": None, "activation_function": "gelu_new",
    },
    {
        "model_type": "albert", "embedding_size": 128, "hidden_size": 768, "num_hidden_groups": 1,
        "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "vocab_size": 30000,
    },
)  # fmt: skip
_TYPES = ("bert", "llama", "jamba", "falcon_mamba", "zamba2", "mixtral", "gpt_oss", "x", "", "t5")


def config(rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """A changed model config: its family's form, and the document."""
    changed = copy.deepcopy(CONFIGS[rng.integers(len(CONFIGS))])
    kind = f"config {changed['model_type']}"
    for _ in range(1 + rng.geometric(0.4)):
        _change_config(changed, rng)
    return kind, changed


def _change_config(document: dict[str, Any], rng: np.random.Generator) -> None:
    inner = document.get("text_config")
    target = inner if isinstance(inner, dict) and inner and rng.random() < 0.7 else document
    keys = list(target)
    if not keys:
        return
    key = keys[rng.integers(len(keys))]
    match int(rng.integers(6)):
        case 0:
            del target[key]
        case 1 | 2:
            target[key] = copy.deepcopy(HOSTILE_VALUES[rng.integers(len(HOSTILE_VALUES))])
        case 3 if isinstance(target[key], int):
            target[key] = int(target[key]) * int(rng.integers(-3, 4)) + int(rng.integers(-2, 3))
        case 4:
            other = CONFIGS[rng.integers(len(CONFIGS))]
            names = list(other)
            name = names[rng.integers(len(names))]
            target[name] = copy.deepcopy(other[name])
        case _:
            target["model_type"] = _TYPES[rng.integers(len(_TYPES))]
