"""What the demo shows of a data set: whom it asks about, what members did, what citizens write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from features.entities import EventKind, Lead, LeadState, Member
from features.errors import DataError
from training.logs import DataSet, iter_leads, read_dataset

TAKEN = (EventKind.CLAIMED, EventKind.RESOLVED, EventKind.AUTHORED, EventKind.SUPPORTED)
_CHINESE = re.compile(r"[\u4e00-\u9fff]{4}")
_MESSAGE_LENGTHS = range(60, 320)
_MAX_TEXT = 40

CITIZEN_DRAFT = Lead(
    "",
    title="小区门口人行道破损，老人和轮椅出行困难",
    body="小区东门外的人行道地砖大面积松动，下雨积水，几位老人已经摔倒，也没有无障碍坡道，"
    "希望有关部门尽快修复，并增设坡道和照明。",
)


class Sample:
    """A data set, and the parts of it that the demo shows. Raises DataError."""

    def __init__(self, folder: Path) -> None:
        self.data: DataSet = read_dataset(folder)
        self._members = {member.member_id: member for member in self.data.members}
        self._leads = {lead.lead_id: lead for lead in self.data.leads}
        self.has_chinese = any(_CHINESE.search(text_of(lead)) for lead in self.data.leads[:1_000])

    def member(self) -> Member:
        """The active member who took on or wrote most; without such events, the first one."""
        log = self.data.events
        taken = np.isin(log.kind, TAKEN)
        counts = np.bincount(log.member[taken], minlength=len(self.data.members))
        for row in np.argsort(-counts, kind="stable").tolist():
            member: Member = self.data.members[row]
            if member.active:
                return member
        raise DataError("the data set has no active member: nobody can be shown a lead")

    def lead(self, lead_id: str) -> Lead:
        """A lead of the set."""
        return self._leads[lead_id]

    def about_member(self, member_id: str) -> str:
        """Who that is, in a line; of members without a profile, what they took on or wrote."""
        member = self._members[member_id]
        parts = (member.name, member.sector, short(member.expertise), ";".join(member.topics[:3]))
        return " ".join(part for part in parts if part) or self.works_of(member_id)

    def works_of(self, member_id: str, like: str = "", most: int = 2) -> str:
        """Titles of leads that a member took on or wrote, those most like a text first.

        Alike is who shares pairs of characters, which the demo's models know nothing about.
        """
        log = self.data.events
        row = self.data.member_ids.row(member_id)
        rows = log.lead[(log.member == row) & np.isin(log.kind, TAKEN) & (log.lead >= 0)]
        works = [self.data.leads[i] for i in dict.fromkeys(rows.tolist())]
        wanted = _pairs(like)
        works.sort(key=lambda lead: -len(wanted & _pairs(lead.title)))
        titles = (short(text_of(lead)) for lead in works)
        return " / ".join([title for title in titles if title][:most])

    def draft(self, like: Lead) -> Lead | None:
        """A lead that is not stored, out of what this set knows; None when it knows nothing.

        Chinese sets get a citizen's complaint at the place of `like`, others the words, topics or
        place of `like`.
        """
        place = Lead(
            "",
            region_code=like.region_code,
            latitude=like.latitude,
            longitude=like.longitude,
        )
        if self.has_chinese:
            return replace(place, title=CITIZEN_DRAFT.title, body=CITIZEN_DRAFT.body)
        draft = replace(place, title=like.title, body=like.body, topics=like.topics)
        return None if draft == Lead("") else draft

    def citizen_messages(self, folder: Path | None, sibling_of: Path) -> list[Lead]:
        """Three messages on three subjects, as drafts; none when there are none to be had."""
        found = folder or sibling_of.resolve().parent / "citizen_messages"
        if folder is None and not (self.has_chinese and found.is_dir()):
            return []
        chosen: dict[tuple[str, ...], Lead] = {}
        for lead in _messages(found):
            if lead.topics and len(lead.body) in _MESSAGE_LENGTHS:
                chosen.setdefault(lead.topics, Lead("", title=lead.title, body=lead.body))
            if len(chosen) == 3:
                break
        return list(chosen.values())


def new_lead(like: Lead, lead_id: str, now_us: int) -> Lead:
    """A lead that was just raised, on the subject and at the place of another."""
    return replace(
        like,
        lead_id=lead_id,
        create_time_us=now_us,
        author_id="",
        support_count=0,
        state=LeadState.OPEN,
        close_time_us=0,
        claim_capacity=None,
    )


def text_of(lead: Lead) -> str:
    """What a lead is about, as far as the set knows."""
    return lead.title or lead.body or ";".join(lead.topics)


def draft_in_words(draft: Lead) -> str:
    """What a draft says: its text, or the place if it has nothing else."""
    if draft.title:
        return f"「{short(draft.title, 60)}」{short(draft.body, 90)}"
    if text := text_of(draft):
        return short(text, 100)
    return (
        f"no text, only a place: {draft.latitude}, {draft.longitude} {draft.region_code}".rstrip()
    )


def short(text: str, most: int = _MAX_TEXT) -> str:
    """The beginning of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1) if text[i : i + 2].isalnum()}


def _messages(folder: Path) -> Iterator[Lead]:
    stream = iter_leads(folder)
    if not stream.found:
        raise DataError(f"{folder} has no table of leads to take messages from")
    for leads in stream:
        yield from leads
