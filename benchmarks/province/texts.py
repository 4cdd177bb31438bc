"""The words: titles and bodies of leads, names and expertise of members, all in Chinese."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.province.arrays import Ints
from benchmarks.province.config import stream
from benchmarks.province.geography import Geography
from benchmarks.province.leads import Leads
from benchmarks.province.lexicon import STYLES, Facet, Lexicon
from benchmarks.province.members import Members

_DRAWS = 40
_CHUNK = 8192


class Picker:
    """Picks from lists by a row of integers drawn in advance (calls into a generator are slow)."""

    __slots__ = ("_next", "_row")

    def __init__(self, row: Sequence[int]) -> None:
        self._row, self._next = row, 0

    def number(self, count: int) -> int:
        """An integer below `count`."""
        value = self._row[self._next % len(self._row)]
        self._next += 1
        return value % count

    def pick(self, items: Sequence[str]) -> str:
        """One of the items."""
        return items[self.number(len(items))]

    def chance(self, percent: int) -> bool:
        """True in that share of cases."""
        return self.number(100) < percent


def pickers(rng: np.random.Generator, count: int) -> Iterator[Picker]:
    """`count` pickers, drawn in chunks."""
    for start in range(0, count, _CHUNK):
        for row in rng.integers(0, 1 << 30, (min(_CHUNK, count - start), _DRAWS)).tolist():
            yield Picker(row)


def lead_texts(
    lexicon: Lexicon, g: Geography, leads: Leads, seed: int
) -> tuple[list[str], list[str]]:
    """Titles and bodies of all leads, in row order."""
    titles: list[str] = []
    bodies: list[str] = []
    columns = zip(
        leads.county.tolist(),
        leads.town.tolist(),
        leads.topic.tolist(),
        leads.told_topic.tolist(),
        leads.facet.tolist(),
        leads.second_topic.tolist(),
        leads.style.tolist(),
        pickers(stream(seed, "lead words"), len(leads)),
        strict=True,
    )
    for county, town, topic, told, facet, second, style, picker in columns:
        own = facet if told == topic else _any_facet(lexicon, told, picker)
        also = _any_facet(lexicon, second, picker) if second >= 0 and picker.chance(70) else -1
        words = _words_of(lexicon, lexicon.facets[own], picker)
        words["county"], words["town"] = g.county_names[county], g.town_names[town]
        words["place"] = _place(lexicon, told, words["town"], int(g.county_kind[county]), picker)
        frames = lexicon.sentences[STYLES[style]]
        titles.append(picker.pick(frames["titles"]).format_map(words))
        bodies.append(_body(lexicon, frames, words, told, also, picker))
    return titles, bodies


def _any_facet(lexicon: Lexicon, topic: int, picker: Picker) -> int:
    rows = lexicon.facets_of[topic]
    return rows[picker.number(len(rows))]


def _words_of(lexicon: Lexicon, facet: Facet, picker: Picker) -> dict[str, str]:
    first = picker.number(len(facet.requests))
    return {
        "object": picker.pick(facet.objects),
        "problem": picker.pick(facet.problems),
        "request": facet.requests[first],
        "object2": picker.pick(facet.objects),
        "problem2": picker.pick(facet.problems),
        "second": facet.requests[(first + 1) % len(facet.requests)],
        "department": picker.pick(lexicon.topics[facet.topic].departments),
    }


def _place(lexicon: Lexicon, topic: int, town: str, kind: int, picker: Picker) -> str:
    """A spot in the town: a road, an estate or a village, often with what stands there."""
    names = lexicon.names
    choice = picker.number(10)
    if kind == 0:
        kinds = ("road", "estate") if choice < 8 else ("estate", "estate")
    else:
        kinds = ("village", "road") if choice < 7 else ("road", "village")
    which = kinds[0] if picker.chance(65) else kinds[1]
    spot = picker.pick(names[f"{which}_stems"]) + picker.pick(names[f"{which}_kinds"])
    spot = town + spot if picker.chance(45) else spot
    return spot + picker.pick(lexicon.topics[topic].places) if picker.chance(55) else spot


def _body(
    lexicon: Lexicon,
    frames: Mapping[str, Any],
    words: dict[str, str],
    topic: int,
    also: int,
    picker: Picker,
) -> str:
    """Opening, what is wrong, for whom, what was tried, perhaps a second matter, the request."""
    common = lexicon.sentences["common"]
    words["since"], words["scale"] = picker.pick(common["since"]), picker.pick(common["scale"])
    for name, most in (("month", 12), ("count", 28), ("few", 9), ("days", 14), ("cost", 30)):
        words[name] = str(1 + picker.number(most))
    words["since_day"] = picker.pick(common["weekdays"])
    parts = [
        picker.pick(frames["openings"]).format_map(words),
        picker.pick(common["statements"]).format_map(words),
    ]
    if picker.chance(45) and words["object2"] != words["object"]:
        parts.append(picker.pick(common["again"]).format_map(words))
    for _ in range(picker.number(4)):
        parts.append(_fresh(common["details"], words, picker, parts))
    if picker.chance(75):
        parts.append(picker.pick(lexicon.topics[topic].consequences) + "。")
    if picker.chance(60):
        parts.append(picker.pick(common["tried"]))
    if also >= 0:
        facet = lexicon.facets[also]
        bridge = picker.pick(common["bridges"])
        parts.append(f"{bridge}{picker.pick(facet.objects)}{picker.pick(facet.problems)}。")
    parts.append(picker.pick(frames["requests"]).format_map(words))
    parts.append(picker.pick(frames["closings"]))
    return "".join(parts)


def _fresh(
    frames: Sequence[str], words: dict[str, str], picker: Picker, parts: Sequence[str]
) -> str:
    """A sentence that the text does not have yet, or nothing."""
    sentence = picker.pick(frames).format_map(words)
    return "" if sentence in parts else sentence


def member_names(lexicon: Lexicon, count: int, seed: int) -> list[str]:
    """Invented names: a surname and one or two characters."""
    names = lexicon.names
    return [
        picker.pick(names["surnames"])
        + picker.pick(names["given"])
        + (picker.pick(names["given"]) if picker.chance(75) else "")
        for picker in pickers(stream(seed, "names"), count)
    ]


def expertise_texts(lexicon: Lexicon, members: Members, seed: int) -> list[str]:
    """What the profile says: mostly of what is known, 7 % nothing, some only vague words."""
    result: list[str] = []
    columns = zip(
        members.facets.tolist(),
        _by_level(members).tolist(),
        members.sector.tolist(),
        pickers(stream(seed, "member words"), len(members)),
        strict=True,
    )
    for facets, topics, sector, picker in columns:
        kind = picker.number(100)
        known = [row for row in facets if row >= 0]
        if kind < 7:
            result.append("")
        elif kind < 17 or not known:
            result.append(picker.pick(lexicon.sentences["expertise"]["vague"]))
        else:
            result.append(_expertise(lexicon, known, topics, sector, picker))
    return result


def _by_level(members: Members) -> Ints:
    """int[M, 2]: the two topics known best, -1 for one that is not known at all."""
    best = np.argsort(-members.expertise, axis=1, kind="stable")[:, :2]
    return np.where(np.take_along_axis(members.expertise, best, axis=1) > 0, best, -1)


def _expertise(
    lexicon: Lexicon, known: list[int], topics: list[int], sector: int, picker: Picker
) -> str:
    main = lexicon.facets[known[0]]
    other = lexicon.facets[known[picker.number(len(known))]]
    skill = picker.number(len(main.skills))
    words = {
        "career": picker.pick(lexicon.topics[main.topic].careers),
        "topic": lexicon.topics[main.topic].name,
        "skill": main.skills[skill],
        "skill2": other.skills[(skill + 1) % len(other.skills)],
        "object": picker.pick(main.objects),
        "problem": picker.pick(main.problems),
        "sector": lexicon.sectors[sector].name,
        "years": str(6 + picker.number(30)),
    }
    text = picker.pick(lexicon.sentences["expertise"]["frames"]).format_map(words)
    skills = [picker.pick(lexicon.facets[row].skills) for row in known[1:] if picker.chance(65)]
    rest = [name for name in dict.fromkeys(skills) if name not in text]
    if rest:
        text += f"还熟悉{'、'.join(rest)}。"
    if topics[1] >= 0 and picker.chance(40):
        words["topic"] = lexicon.topics[topics[1]].name
        words["skill"] = picker.pick(other.skills)
        text += picker.pick(lexicon.sentences["expertise"]["also"]).format_map(words)
    return text
