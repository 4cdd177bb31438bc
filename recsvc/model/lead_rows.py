"""Base leads by who wrote them and by key: the few rows that stand against one member."""

from __future__ import annotations

import numpy as np

from recsvc.model.arrays import I32, I64, LeadColumns

_NONE = np.empty(0, np.int32)
_LAST_TICK = int(np.iinfo(np.int32).max)


class LeadRows:
    """Rows of the base leads, found by stable keys."""

    def __init__(self, leads: LeadColumns) -> None:
        self.by_authors = np.argsort(leads.author_key, kind="stable").astype(np.int32)
        self.authors = leads.author_key[self.by_authors]
        self._by_key = np.argsort(leads.key, kind="stable").astype(np.int32)
        self._keys = leads.key[self._by_key]

    def by_author(self, author_key: int) -> I32:
        """Rows of the leads that a member wrote."""
        begin, end = np.searchsorted(self.authors, (author_key, author_key + 1)).tolist()
        return self.by_authors[begin:end] if end > begin else _NONE

    def of_keys(self, lead_keys: I64, author_keys: I64) -> I32:
        """Rows of these leads and of all leads of these authors."""
        if len(lead_keys) + len(author_keys) == 0:
            return _NONE
        at = np.searchsorted(self._keys, lead_keys)
        at = at[at < len(self._keys)]
        named = self._by_key[at][np.isin(self._keys[at], lead_keys)]
        return np.concatenate([named, *(self.by_author(int(key)) for key in author_keys)])


class Marks:
    """A scratch number for each base lead: what holds the current tick is taken out.

    Nothing needs to be wiped between requests, the tick moves on.
    """

    def __init__(self, count: int) -> None:
        self.mark = np.zeros(count, np.int32)
        self._tick = 0

    def next_tick(self) -> int:
        """A number that nothing is marked with."""
        if self._tick == _LAST_TICK:
            self.mark[:] = 0
            self._tick = 0
        self._tick += 1
        return self._tick
