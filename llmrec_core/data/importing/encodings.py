"""The encoding of a text file: UTF-8 where it is valid, else what charset-normalizer finds.

It is decided on the whole of a file up to 32 MiB, else on its first 32 MiB; the reader keeps
checking.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from charset_normalizer import from_bytes

from llmrec_core.data.importing.opening import open_source
from llmrec_core.data.importing.problems import ImportDataError
from llmrec_core.data.importing.sources import Source
from llmrec_core.language import t

SAMPLE_BYTES = 32 << 20
CLUE_BYTES = 64 << 10
"""Bytes of lines with accents that are judged."""
LEGACY = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "iso8859_2",
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
)  # fmt: skip
"""What exports of tables are written in; without this list short texts become rare encodings."""
MARGIN = 0.05
"""Windows-1252 is taken when its letters are as plausible as the best ones' up to this share."""
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Encoding:
    """An encoding as Python names it, and why it is believed."""

    name: str
    evidence: str


def find_encoding(source: Source) -> Encoding:
    """The encoding of a text source.

    Raises:
        DataError: NUL bytes, or lines in two encodings, with the first line of each.
    """
    with open_source(source) as stream:
        sample = stream.read(SAMPLE_BYTES)
        is_whole = not stream.read(1)
    if sample.startswith(_WIDE):
        return Encoding("utf-16", t("byte order mark of UTF-16"))
    if b"\0" in sample:
        refuse_nul(source.label, sample, 0)
    if not is_whole:
        sample = sample[: sample.rfind(b"\n") + 1]
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError:
        return _legacy(source.label, sample)
    if sample.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8-sig", t("valid UTF-8 with a byte order mark"))
    if is_whole:
        return Encoding("utf-8", t("the whole file is valid UTF-8"))
    return Encoding(
        "utf-8", t("the first {mebibytes} MiB are valid UTF-8", mebibytes=SAMPLE_BYTES >> 20)
    )


def refuse_nul(label: str, piece: bytes, lines_before: int) -> None:
    """Raise the sentence for a NUL byte.

    Args:
        label: of the file, for the sentence.
        piece: bytes of it.
        lines_before: lines that came before this piece.

    Raises:
        DataError: always.
    """
    line = lines_before + piece[: piece.index(b"\0")].count(b"\n") + 1
    raise ImportDataError(
        t(
            "{label}, line {line}: a NUL byte; this is no text table, or a damaged one",
            label=label,
            line=line,
        )
    )


def _legacy(label: str, sample: bytes) -> Encoding:
    """The likeliest encoding of text that is not UTF-8."""
    clues, size, good, bad = [], 0, 0, 0
    for number, line in enumerate(sample.split(b"\n"), 1):
        if line.isascii():
            continue
        if _is_utf8(line):
            good = good or number
        else:
            bad = bad or number
        if size < CLUE_BYTES:
            clues.append(line[:CLUE_BYTES])
            size += len(line)
    if good:
        raise ImportDataError(
            t(
                "{label} mixes encodings: line {good} is UTF-8, line {bad} is not; repair it",
                label=label,
                good=good,
                bad=bad,
            ),
            "encoding",
        )
    name, others = _likeliest(b"\n".join(clues))
    return Encoding(
        name,
        t("line {bad} is not UTF-8; its letters fit {name}", bad=bad, name=name)
        if not others
        else t(
            "line {bad} is not UTF-8; its letters fit {name}, and also {others}",
            bad=bad,
            name=name,
            others=", ".join(others),
        ),
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _likeliest(clues: bytes) -> tuple[str, list[str]]:
    """The encoding whose letters make the most sense, and others that make as much."""
    matches = list(from_bytes(clues, cp_isolation=list(LEGACY), threshold=0.3))
    if not matches:
        return "cp1252", []
    best = matches[0]
    fitting = [
        match
        for match in matches
        if match.chaos <= best.chaos + MARGIN and match.coherence >= best.coherence - MARGIN
    ]
    names = list(dict.fromkeys(n for match in fitting for n in match.could_be_from_charset))
    chosen = "cp1252" if "cp1252" in names else best.encoding
    return chosen, [name for name in names if name != chosen][:3]
