"""The words of the province: topics with their facets, sectors, names, sentence frames."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

STYLES = ("complaint", "suggestion", "help", "question")
"""How a lead is written; part of the ground truth, since members have a taste for some."""

_TOPIC_FILES = ("streets", "homes", "people", "country", "market", "order")


@dataclass(frozen=True, slots=True)
class Facet:
    """A narrower subject inside a topic: any object goes with any problem."""

    topic: int
    objects: tuple[str, ...]
    problems: tuple[str, ...]
    requests: tuple[str, ...]
    skills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its traits in the ground truth and the words around it."""

    name: str
    group: str
    share: float
    expertise: float
    distance: float
    rural: float
    urgency: float
    season: int
    departments: tuple[str, ...]
    places: tuple[str, ...]
    careers: tuple[str, ...]
    consequences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sector:
    """One of the 31 sectors (界别)."""

    name: str
    share: float
    retired: float
    topics: tuple[int, ...]


@dataclass(frozen=True)
class Lexicon:
    """All words; rows of `topics`, `facets` and `sectors` are the codes used everywhere."""

    topics: tuple[Topic, ...]
    facets: tuple[Facet, ...]
    sectors: tuple[Sector, ...]
    names: Mapping[str, tuple[str, ...]]
    sentences: Mapping[str, Any]

    @cached_property
    def facets_of(self) -> tuple[tuple[int, ...], ...]:
        """Facet rows of each topic."""
        rows: list[list[int]] = [[] for _ in self.topics]
        for row, facet in enumerate(self.facets):
            rows[facet.topic].append(row)
        return tuple(tuple(r) for r in rows)

    @cached_property
    def related(self) -> NDArray[np.bool_]:
        """bool[topics, topics]: in the same group, and not the same."""
        groups = np.array([topic.group for topic in self.topics])
        same = groups[:, None] == groups[None, :]
        return np.asarray(same & ~np.eye(len(groups), dtype=bool))

    def trait(self, name: str) -> NDArray[np.float64]:
        """float64[topics] of a numeric trait such as "distance"."""
        return np.array([getattr(topic, name) for topic in self.topics], np.float64)

    @classmethod
    def load(cls) -> Lexicon:
        """Reads the word files that lie beside this module."""
        tables = [table for name in _TOPIC_FILES for table in _read(f"topics_{name}")["topic"]]
        topics = tuple(_topic(table) for table in tables)
        facets = tuple(
            Facet(row, *(_words(facet[key]) for key in Facet.__slots__[1:]))
            for row, table in enumerate(tables)
            for facet in table["facet"]
        )
        row_of = {topic.name: row for row, topic in enumerate(topics)}
        sectors = tuple(
            Sector(
                s["name"], s["share"], s["retired"], tuple(row_of[t] for t in _words(s["topics"]))
            )
            for s in _read("sectors")["sector"]
        )
        names = {key: _words(value) for key, value in _read("names").items()}
        return cls(topics, facets, sectors, names, _read("sentences"))


def _read(name: str) -> dict[str, Any]:
    path = resources.files("benchmarks.province").joinpath(f"data/{name}.toml")
    return tomllib.loads(path.read_text("utf-8"))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _topic(table: Mapping[str, Any]) -> Topic:
    values = {key: table[key] for key in Topic.__slots__}
    return Topic(**{k: v if k in _PLAIN else _split(v) for k, v in values.items()})


_PLAIN = frozenset({"name", "group"})


def _split(value: Any) -> Any:
    return _words(value) if isinstance(value, str) else value
