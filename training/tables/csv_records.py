"""Where the records of a CSV file begin and end, worked out line by line.

Slower than Arrow by far, so it runs over a header, or over a file in which something is wrong.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from training.tables.files import open_bytes

_CLOSING_QUOTE = re.compile(r'[^"]*+(?:""[^"]*+)*+"')


@contextmanager
def text_lines(path: Path) -> Iterator[io.TextIOWrapper]:
    """The lines of a file for people: a byte order mark is dropped, bad bytes are replaced."""
    with (
        open_bytes(path) as (stream, _),
        io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="") as lines,
    ):
        yield lines


def split_records(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(first line counted from 1, text) of each record, header included, blank lines not.

    Follows Arrow: a quote opens only at the start of a field; `""` inside stands for one quote.
    """
    start, parts, quoted = 0, list[str](), False
    for number, line in enumerate(lines, 1):
        if not parts:
            if not line.strip("\r\n"):
                continue
            start = number
        parts.append(line)
        if '"' in line:
            quoted = _open_after(line, quoted)
        if not quoted:
            yield start, "".join(parts)
            parts = []
    if parts:
        yield start, "".join(parts)


def _open_after(line: str, quoted: bool) -> bool:
    """Whether a quote is open at the end of `line`, given whether one was at its start."""
    position = 0
    while position < len(line):
        if quoted or line[position] == '"':
            closing = _CLOSING_QUOTE.match(line, position if quoted else position + 1)
            if closing is None:
                return True
            position, quoted = closing.end(), False
        comma = line.find(",", position)
        if comma < 0:
            return False
        position = comma + 1
    return False


def count_lines(text: str) -> int:
    """How many lines a record spans."""
    return len(io.StringIO(text, newline="").readlines())


def unclosed_quote(lines: Iterable[str]) -> int | None:
    """The line where the last record starts when it ends inside a quote, None when it does not."""
    start, text = 0, ""
    for start, text in split_records(lines):  # noqa: B007 (the last one is what counts)
        pass
    quoted = False
    for line in io.StringIO(text, newline=""):
        quoted = _open_after(line, quoted)
    return start if quoted else None


def longest_record(lines: Iterable[str]) -> tuple[int, int]:
    """(first line, characters) of the longest record; (0, 0) when there is none."""
    sizes = ((start, len(text)) for start, text in split_records(lines))
    return max(sizes, key=lambda size: size[1], default=(0, 0))
