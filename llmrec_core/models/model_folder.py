"""Where a backbone's files stand, what they may be, and what they are: the content's identity.

A backbone is named by an asset of the package index, a local folder, or a Hugging Face id. The name
is not what it is: other weights may stand in the folder tomorrow. So whatever is computed from a
backbone is kept and compared by the hash of its files. No torch.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmrec_core.assets import ASSETS, fetch
from llmrec_core.errors import CheckpointError, UnsupportedError, UsageError
from llmrec_core.files import sha256_of, write_json
from llmrec_core.language import t
from llmrec_core.models.hub_pins import pinned_commit
from llmrec_core.settings import Settings

FROM_GGUF = ("smollm2-135m", "gemma3-270m")
"""Causal language models that come as a GGUF file and are converted once (gguf_folder.py)."""
BUILT_IN = ("minilm-l6", *FROM_GGUF)
"""Backbones that come with pinned downloads: for them the name is the identity."""
READ = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
"""Files that a model is made of: weights, configuration, tokenizer, sentence modules."""
NOT_READ = ("trainer_state.json", "all_results.json", "train_results.json", "eval_results.json")
"""What a training leaves in the folder besides."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
SHOWN = 12
"""Digits of an identity that a sentence shows."""


def locate(name: str, settings: Settings, identity: str = "") -> Path:
    """The folder with the files behind a backbone's name.

    Args:
        name: a name of `BUILT_IN`, a folder, or a Hugging Face id.
        settings: where downloads stand.
        identity: of a Hugging Face id, the commit that is meant; empty takes the pinned one.

    Raises:
        UsageError: when the name is neither of them nor on the list of hub_pins.py, or cannot be
            fetched.
        UnsupportedError: for weights that are pickles, or a model that brings code.
    """
    if name in BUILT_IN:
        return fetch(name, settings)
    folder = Path(name).expanduser()
    if folder.is_dir():
        _refuse_unsafe(folder)
        return folder
    if _is_path(name):
        raise UsageError(
            t(
                "backbone {name!r} is not a folder; give a folder with config.json and "
                "*.safetensors",
                name=name,
            )
        )
    pinned = pinned_commit(name, settings)
    snapshot = _snapshot(name, identity or pinned)
    _refuse_unsafe(snapshot)
    return snapshot


def _is_path(name: str) -> bool:
    return name.count("/") > 1 or name.startswith((".", "~", "/"))


def read_config(folder: Path) -> dict[str, Any]:
    """The fields of a folder's config.json.

    Raises:
        UsageError: when there is none.
        CheckpointError: when it cannot be read.
    """
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            t(
                "backbone folder {folder} has no config.json; expected a Hugging Face model folder",
                folder=folder,
            )
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            t(
                "config.json of backbone {folder} cannot be read: {error}",
                folder=folder,
                error=error,
            )
        ) from error
    if not isinstance(fields, dict):
        raise CheckpointError(
            t("config.json of backbone {folder} holds no table of settings", folder=folder)
        )
    return fields


def _refuse_unsafe(folder: Path) -> None:
    if read_config(folder).get("auto_map"):
        raise UnsupportedError(
            t(
                "backbone {folder} needs code of its own (auto_map in config.json), which is "
                "never run here; use a model whose architecture is part of transformers",
                folder=folder,
            )
        )
    if list(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES)
    if pickles:
        raise UnsupportedError(
            t(
                "backbone {folder} holds only pickled weights ({pickles}), which can run code; "
                "expected *.safetensors: convert it with safetensors first",
                folder=folder,
                pickles=", ".join(pickles),
            )
        )
    raise UnsupportedError(
        t(
            "backbone {folder} holds no weights; expected *.safetensors: convert it with "
            "safetensors first",
            folder=folder,
        )
    )


def _snapshot(name: str, revision: str) -> Path:
    """The files of a Hugging Face id at a commit, from the local cache or fetched."""
    from huggingface_hub import snapshot_download

    wanted = [*READ, *(f"*/{pattern}" for pattern in READ[:2])]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:  # the hub's client raises whatever its HTTP library raises
        raise _unknown(name, error) from error


def _unknown(name: str, error: Exception) -> UsageError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return UsageError(
        t(
            "backbone {name!r} is not one of {built_in} nor a folder, and cannot be fetched as a "
            "Hugging Face id ({reason}); check the name and the network",
            name=name,
            built_in=", ".join(BUILT_IN),
            reason=lines[0][:300],
        )
    )


def identity_of(name: str, settings: Settings) -> str:
    """What a backbone is, whatever stands under its name tomorrow.

    Returns:
        Of a built-in backbone the hash of its pinned files; of a folder the SHA-256 of weights,
        tokenizer and configuration, in hexadecimal digits; of a Hugging Face id its pinned commit.

    Raises:
        UsageError: when the name is neither of them nor on the list of hub_pins.py.
    """
    if name in BUILT_IN:
        pinned = sorted(ASSETS[name].members.items())
        return hashlib.sha256(json.dumps(pinned).encode()).hexdigest()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _content_hash(folder.resolve(), settings)
    if _is_path(name):
        return _content_hash(locate(name, settings), settings)
    return pinned_commit(name, settings)


def _content_hash(folder: Path, settings: Settings) -> str:
    """SHA-256 of a folder's files; one whose size and times are as before is not read again."""
    identities_path = settings.home / "backbones" / "identities.json"
    identities: dict[str, list[Any]] = {}
    with suppress(OSError, ValueError):
        identities = json.loads(identities_path.read_text(encoding="utf-8"))
    digest, fresh = hashlib.sha256(), False
    for path in _model_files(folder):
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        entry = identities.get(str(path))
        if entry is None or entry[:3] != stamp:
            identities[str(path)] = entry = [*stamp, sha256_of(path)]
            fresh = True
        digest.update(f"{path.relative_to(folder)}\0{entry[3]}\n".encode())
    if fresh:
        write_json(
            identities_path,
            {path: entry for path, entry in identities.items() if Path(path).exists()},
        )
    return digest.hexdigest()


def _model_files(folder: Path) -> list[Path]:
    """The files that a model is made of, its sentence modules included, in a fixed order."""
    here = [path for pattern in READ for path in folder.glob(pattern)]
    below = [path for pattern in READ[:2] for path in folder.glob(f"*/{pattern}")]
    return sorted(path for path in (*here, *below) if path.name not in NOT_READ and path.is_file())


def require_same(name: str, recorded: str, identity: str, what: str) -> None:
    """Refuse to go on with another backbone than the one that something was made with.

    Args:
        name: of the backbone.
        recorded: identity that was recorded; empty where version 0.1 recorded none.
        identity: of the backbone as it is now.
        what: name of the run that was made with it.

    Raises:
        CheckpointError: when the two differ.
    """
    if recorded and recorded != identity:
        raise CheckpointError(
            t(
                "backbone {name} is no longer what run {what!r} was made with: its files had the "
                "hash {recorded} and have {identity} now; put the old files back, or run it again",
                name=name,
                what=what,
                recorded=recorded[:SHOWN],
                identity=identity[:SHOWN],
            )
        )
