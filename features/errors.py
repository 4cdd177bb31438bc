"""The root of the error tree, and what can go wrong with data.

RecsvcError
├── DataError                 a table, row or value cannot be used
│   └── UnknownIdError        an id that no table defines
├── BundleError               (recsvc.errors) a model bundle cannot be used
└── ServiceError              (recsvc.errors) what a caller over the wire is told
"""

from __future__ import annotations


class RecsvcError(Exception):
    """Something the user can act on; the message says what is wrong and what to do."""


class DataError(RecsvcError):
    """A data set, a row or a value cannot be used."""


class UnknownIdError(DataError):
    """An id that the vocabulary does not hold."""

    def __init__(self, identifier: str) -> None:
        super().__init__(f"unknown id {identifier!r}: import or list it first")
        self.identifier = identifier
