"""Bytes in some encoding → clean UTF-8 for a parser, with the line of whatever is wrong.

A byte order mark and empty lines at the start are left out.
"""

from __future__ import annotations

import codecs
import io
from typing import IO, cast

from llmrec_core.data.importing.encodings import refuse_nul
from llmrec_core.data.importing.problems import ImportDataError
from llmrec_core.language import t

MAX_LINE_BYTES = 8 << 20
DOUBLE_COLON = "\x1f"
"""What `::` becomes, since fast parsers want one character."""
REPLACE = ":replace"
"""At the end of an encoding: damaged letters become U+FFFD instead of stopping the import."""
_PIECE = 1 << 20


def utf8_stream(
    stream: IO[bytes], label: str, encoding: str, *, double_colon: bool = False, end: bytes = b""
) -> IO[bytes]:
    """The stream as checked UTF-8.

    Args:
        stream: bytes in `encoding`.
        label: the file's name for people.
        encoding: as Python names it, with `:replace` at its end where damage is accepted.
        double_colon: whether `::` separates the columns.
        end: bytes that follow the content.
    """
    checked = _Utf8Stream(stream, label, encoding, double_colon, end)
    return cast(IO[bytes], io.BufferedReader(checked, buffer_size=_PIECE))


class _Utf8Stream(io.RawIOBase):
    """UTF-8 bytes of a stream in another encoding, checked for NUL, line length and damage."""

    def __init__(
        self, stream: IO[bytes], label: str, encoding: str, double_colon: bool, end: bytes
    ) -> None:
        name = encoding.removesuffix(REPLACE)
        is_lenient = name != encoding
        self.stream, self.label, self.encoding = stream, label, name
        self.double_colon, self.end = double_colon, end
        # cp1252 leaves five codes undefined; Latin-1 with the block 0x80–0x9f mapped is what
        # browsers do.
        self.table = _CP1252 if name == "cp1252" else None
        decoder = codecs.getincrementaldecoder("latin-1" if self.table else name)
        self.decoder = decoder("replace" if is_lenient else "strict")
        self.lines = self.since_newline = 0
        self.kept = ""
        self.ready = b""
        self.is_start, self.is_over = True, False

    def readable(self) -> bool:
        """Say that this can be read from, as `io.BufferedReader` wants to know."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override] # typeshed: any buffer
        """Fill the buffer with the next bytes; 0 at the end."""
        while not self.ready and not self.is_over:
            piece = self.stream.read(_PIECE)
            self.ready = self._decode(piece).encode("utf-8", "replace")
            if not piece:
                self.is_over = True
                self.ready += self.end
        taken = self.ready[: len(buffer)]
        self.ready = self.ready[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _decode(self, piece: bytes) -> str:
        if b"\0" in piece and not self.encoding.startswith(("utf-16", "utf-32")):
            refuse_nul(self.label, piece, self.lines)
        try:
            text = self.decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            raise ImportDataError(
                t(
                    "{label}, line {line}: byte 0x{byte:02x} is not {encoding}",
                    label=self.label,
                    line=self.lines + error.object[: error.start].count(b"\n") + 1,
                    byte=error.object[error.start],
                    encoding=self.encoding,
                ),
                "encoding",
            ) from error
        self._check_length(piece)
        if self.table:
            text = text.translate(self.table)
        if self.is_start and text:
            text = text.lstrip("\ufeff\r\n")
            self.is_start = not text
        return self._one_separator(text, is_last=not piece) if self.double_colon else text

    def _check_length(self, piece: bytes) -> None:
        """Refuse a line that is longer than any row can be."""
        newline = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        self.since_newline = (
            len(piece) - newline - 1 if newline >= 0 else self.since_newline + len(piece)
        )
        if self.since_newline > MAX_LINE_BYTES:
            raise ImportDataError(
                t(
                    "{label}, line {line}: longer than {mebibytes} MiB; expected one row a line",
                    label=self.label,
                    line=self.lines + 1 + piece.count(b"\n"),
                    mebibytes=MAX_LINE_BYTES >> 20,
                )
            )
        self.lines += piece.count(b"\n")

    def _one_separator(self, text: str, is_last: bool) -> str:
        """The text with `::` as one character; a colon at the end waits for what follows."""
        text = self.kept + text
        waits = not is_last and text.endswith(":") and not text.endswith("::")
        self.kept = ":" if waits else ""
        return text[: len(text) - len(self.kept)].replace("::", DOUBLE_COLON)


_CP1252 = {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0xA0)}
