"""Bytes of unknown encoding → clean UTF-8 for a parser, with the line of whatever is wrong.

The encoding is decided on the whole of a file up to 32 MiB, else on its first 32 MiB; the stream keeps checking.
"""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import IO

from llmrec_core.data.sources import Source, open_source
from llmrec_core.errors import DataError

SAMPLE_BYTES = 32 << 20
MAX_LINE_BYTES = 8 << 20
DOUBLE_COLON = "\x1f"  # what `::` becomes, since fast parsers want one character


@dataclass(frozen=True)
class Encoding:
    name: str
    evidence: str


def find_encoding(source: Source) -> Encoding:
    """UTF-8 when it is valid, UTF-16 by its mark, else Windows-1252 when no line contradicts it.

    Raises:
        DataError: NUL bytes, or lines in two encodings, with the first line of each.
    """
    with open_source(source) as stream:
        sample = stream.read(SAMPLE_BYTES)
        whole = not stream.read(1)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16", "byte order mark of UTF-16")
    if b"\0" in sample:
        _refuse_nul(source.label, sample, 0)
    where = "the whole file" if whole else f"the first {SAMPLE_BYTES >> 20} MiB"
    if not whole:
        sample = sample[: sample.rfind(b"\n") + 1]
    marked = sample.startswith(codecs.BOM_UTF8)
    try:
        sample.decode("utf-8")
        return Encoding("utf-8-sig" if marked else "utf-8", f"{where} is valid UTF-8{' with a mark' if marked else ''}")
    except UnicodeDecodeError:
        pass
    good = bad = 0
    for number, line in enumerate(sample.split(b"\n"), 1):
        if not line.isascii():
            try:
                line.decode("utf-8")
                good = good or number
            except UnicodeDecodeError:
                bad = bad or number
    if good:
        raise DataError(
            f"{source.label} mixes encodings: line {good} is UTF-8, line {bad} is not; repair it, or say which to "
            "use with --encoding "
            "(utf-8 replaces damaged letters, cp1252 accepts all)"
        )
    return Encoding("cp1252", f"line {bad} is not UTF-8 and no line with accents is: Windows-1252, Latin-1 likewise")


def _refuse_nul(label: str, piece: bytes, lines_before: int) -> None:
    line = lines_before + piece[: piece.index(b"\0")].count(b"\n") + 1
    raise DataError(f"{label}, line {line}: a NUL byte; this is no text table, or a damaged one")


class Utf8Stream(io.RawIOBase):
    """UTF-8 bytes of a stream in another encoding, checked line by line for NUL, length and damage.

    Args:
        damaged: `strict` raises at letters that are not of the encoding, `replace` puts U+FFFD for them (chosen by
            hand).
    """

    def __init__(
        self, stream: IO[bytes], label: str, encoding: str, *, double_colon: bool = False, damaged: str = "strict"
    ) -> None:
        self.stream, self.label, self.double_colon = stream, label, double_colon
        self.decoder = codecs.getincrementaldecoder("latin-1" if encoding == "cp1252" else encoding)(damaged)
        # cp1252 leaves five codes undefined; Latin-1 with the 0x80–0x9f block mapped is what browsers do.
        self.table = (
            {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0xA0)}
            if encoding == "cp1252"
            else None
        )
        self.encoding = encoding
        self.lines = 0
        self.since_newline = 0
        self.kept = ""
        self.ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self.ready:
            piece = self.stream.read(1 << 20)
            text = self._decode(piece)
            if not piece and not text:
                return 0
            self.ready = text.encode("utf-8")
        taken = self.ready[: len(buffer)]
        self.ready = self.ready[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _decode(self, piece: bytes) -> str:
        if b"\0" in piece and not self.encoding.startswith("utf-16"):
            _refuse_nul(self.label, piece, self.lines)
        try:
            text = self.decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line = self.lines + error.object[: error.start].count(b"\n") + 1
            raise DataError(
                f"{self.label}, line {line}: byte 0x{error.object[error.start]:02x} is not {self.encoding}; name the "
                "encoding with "
                "--encoding, e.g. --encoding cp1252"
            ) from error
        newline = piece.rfind(b"\n")
        self.since_newline = len(piece) - newline - 1 if newline >= 0 else self.since_newline + len(piece)
        if self.since_newline > MAX_LINE_BYTES:
            raise DataError(
                f"{self.label}, line {self.lines + 1 + piece.count(bytes([10]))}: longer than {MAX_LINE_BYTES >> 20} "
                "MiB; expected one row a line"
            )
        self.lines += piece.count(b"\n")
        if self.table:
            text = text.translate(self.table)
        if self.double_colon:
            text = self.kept + text
            self.kept = ":" if piece and text.endswith(":") and not text.endswith("::") else ""
            text = text[: len(text) - len(self.kept)].replace("::", DOUBLE_COLON)
        return text
