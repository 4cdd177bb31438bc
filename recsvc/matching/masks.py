"""Who may be offered what, on a snapshot: every filter's verdict on every row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.matching.filters import (
    Eligibility,
    count_removed,
    lead_verdicts,
    member_verdicts,
    restrict_leads,
    restrict_members,
)
from recsvc.model.arrays import I64, U8, LeadColumns, MemberColumns
from recsvc.model.history import Seen
from recsvc.model.open_leads import lead_verdict
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict


class Masked(NamedTuple):
    """Verdicts of every row of a table, one array a segment (in the order of `segments()`)."""

    verdicts: tuple[U8, ...]

    @property
    def eligible_count(self) -> int:
        """How many rows passed every mask."""
        return sum(int((v == Verdict.KEPT).sum()) for v in self.verdicts)

    @property
    def removed(self) -> dict[Verdict, int]:
        """How many rows each mask took."""
        total: dict[Verdict, int] = {}
        for part in self.verdicts:
            for verdict, count in count_removed(part).items():
                total[verdict] = total.get(verdict, 0) + count
        return total

    def at(self, row: int) -> Verdict:
        """The verdict of one global row."""
        part, local = self._locate(row)
        return Verdict(int(part[local]))

    def mark(self, row: int, verdict: Verdict) -> None:
        """Takes a row out that no mask has taken yet."""
        part, local = self._locate(row)
        if part[local] == Verdict.KEPT:
            part[local] = verdict

    def recuse(self, row: int) -> None:
        """Takes a row out for a recusal, which comes before everything that is known of it."""
        part, local = self._locate(row)
        if part[local] != Verdict.DELETED:
            part[local] = Verdict.CONFLICT

    def mark_all(self, verdict: Verdict) -> None:
        """Takes everything out that is not deleted."""
        for part in self.verdicts:
            part[part != Verdict.DELETED] = verdict

    def _locate(self, row: int) -> tuple[U8, int]:
        for part in self.verdicts:
            if row < len(part):
                return part, row
            row -= len(part)
        raise IndexError(row)


def mask_leads(snapshot: Snapshot, member_row: int, wanted: Eligibility, now_us: int) -> Masked:
    """Which leads one member may be offered."""
    members, local = snapshot.members.locate(member_row)
    masked = Masked(
        tuple(
            _lead_part(snapshot, member_row, leads, np.arange(len(leads.alive)), now_us)
            for _, leads in snapshot.leads.segments()
        )
    )
    _mark_seen(masked, snapshot.leads, seen_leads(snapshot, member_row))
    if wanted.restricts:
        places = members.latitude_rad[local], members.longitude_rad[local]
        for part, (_, leads) in zip(masked.verdicts, snapshot.leads.segments(), strict=True):
            restrict_leads(part, leads, wanted, *places)
    return masked


def pair_verdicts(snapshot: Snapshot, member_row: int, lead_rows: I64, now_us: int) -> U8:
    """Verdicts (uint8[n]) of one member and n leads (global rows), without scanning all leads."""
    out = np.empty(len(lead_rows), np.uint8)
    for start, leads in snapshot.leads.segments():
        at = np.flatnonzero((lead_rows >= start) & (lead_rows < start + len(leads.alive)))
        out[at] = _lead_part(snapshot, member_row, leads, lead_rows[at] - start, now_us)
    forbidden = forbidden_leads(snapshot, member_row)
    for place, lead_row in enumerate(lead_rows.tolist()):
        if out[place] == Verdict.KEPT and lead_row in forbidden:
            out[place] = forbidden[lead_row]
    return out


def _lead_part(
    snapshot: Snapshot, member_row: int, leads: LeadColumns, rows: I64, now_us: int
) -> U8:
    members, local = snapshot.members.locate(member_row)
    recusal = snapshot.recusals.mask(snapshot.members.identifier(member_row))
    part = lead_verdicts(
        leads,
        rows,
        members.key[local],
        snapshot.organizations.visible_leads(int(members.organization[local])),
        recusal.lead_keys,
        recusal.author_keys,
        recusal.organizations,
        now_us,
    )
    if not members.active[local]:
        part[part == Verdict.KEPT] = Verdict.INACTIVE
    return part


def forbidden_leads(snapshot: Snapshot, member_row: int) -> dict[int, Verdict]:
    """Global rows of leads that the member's own history forbids, each with its last verdict."""
    return _forbidden(snapshot.leads, seen_leads(snapshot, member_row))


def seen_leads(snapshot: Snapshot, member_row: int) -> Seen:
    """What the member's own history forbids."""
    member_id = snapshot.members.identifier(member_row)
    return snapshot.history.seen_leads(snapshot.bundle.member_ids.get(member_id), member_id)


def tail_verdicts(
    snapshot: Snapshot, member_row: int, seen: Seen, now_us: int
) -> tuple[U8, dict[int, Verdict]]:
    """Verdicts (uint8[t]) of the tail's leads, and the base rows that later events forbid."""
    table = snapshot.leads
    part = _lead_part(snapshot, member_row, table.tail, np.arange(table.tail_count), now_us)
    return part, _in_base(table, part, seen)


def mask_members(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    lead_id: str,
    wanted: Eligibility,
    now_us: int,
) -> Masked:
    """Which members may be offered one lead (row `local` of `leads`; `lead_id` "" for a draft).

    A stored lead that is closed, full or not yet created is offered to nobody; a draft always may.
    """
    organization = int(leads.organization[local])
    author = int(leads.author_key[local])
    key = int(leads.key[local])
    jurisdiction = snapshot.organizations.visible_members(organization)
    verdicts = tuple(
        member_verdicts(members, author, jurisdiction) for _, members in snapshot.members.segments()
    )
    masked = Masked(verdicts)
    for member_id in snapshot.recusals.members_of(key, author, organization):
        row = snapshot.members.row(member_id)
        if row >= 0:
            masked.recuse(row)
    if lead_id:
        verdict = Verdict(lead_verdict(leads, local, now_us))
        if verdict is not Verdict.KEPT:
            masked.mark_all(verdict)
        base_row = snapshot.bundle.lead_ids.get(lead_id)
        _mark_seen(masked, snapshot.members, snapshot.history.seen_by(base_row, lead_id))
    if wanted.restricts:
        place = float(leads.latitude_rad[local]), float(leads.longitude_rad[local])
        for part, (_, members) in zip(masked.verdicts, snapshot.members.segments(), strict=True):
            restrict_members(part, members, wanted, *place)
    return masked


def tail_member_verdicts(
    snapshot: Snapshot, leads: LeadColumns, local: int, recused: list[int], seen: Seen
) -> tuple[U8, dict[int, Verdict]]:
    """Verdicts (uint8[t]) of the tail's members, and the base rows that later events forbid.

    `recused` are global rows; the lead (row `local` of `leads`) is open or a draft.
    """
    table = snapshot.members
    jurisdiction = snapshot.organizations.visible_members(int(leads.organization[local]))
    part = member_verdicts(table.tail, int(leads.author_key[local]), jurisdiction)
    for row in recused:
        if row >= table.base_count and part[row - table.base_count] != Verdict.DELETED:
            part[row - table.base_count] = Verdict.CONFLICT
    return part, _in_base(table, part, seen)


def _in_base(
    table: Table[LeadColumns] | Table[MemberColumns], tail: U8, seen: Seen
) -> dict[int, Verdict]:
    """Marks the tail rows (in place) that later events forbid; the base rows that they forbid."""
    moved = np.flatnonzero(table.base.alive[seen.base_rows] == 0)
    later = Seen(seen.base_rows[moved], seen.base_verdicts[moved], seen.ids)
    in_base = {}
    for row, verdict in _forbidden(table, later).items():
        if row < table.base_count:
            in_base[row] = verdict
        elif tail[row - table.base_count] == Verdict.KEPT:
            tail[row - table.base_count] = verdict
    return in_base


def _mark_seen(
    masked: Masked, table: Table[LeadColumns] | Table[MemberColumns], seen: Seen
) -> None:
    """Of several events of a pair the last one is the reason, so later ones are marked first."""
    moved = np.flatnonzero(table.base.alive[seen.base_rows] == 0)
    elsewhere = Seen(seen.base_rows[moved], seen.base_verdicts[moved], seen.ids)
    for row, verdict in _forbidden(table, elsewhere).items():
        masked.mark(row, verdict)
    if len(seen.base_rows):
        base = masked.verdicts[0]
        kept = base[seen.base_rows] == Verdict.KEPT
        base[seen.base_rows[kept]] = seen.base_verdicts[kept]


def _forbidden(table: Table[LeadColumns] | Table[MemberColumns], seen: Seen) -> dict[int, Verdict]:
    """The global rows not to be offered, each with the verdict of its last event."""
    base = zip(seen.base_rows.tolist(), seen.base_verdicts.tolist(), strict=True)
    rows = {table.current(row): Verdict(verdict) for row, verdict in base}
    return rows | {table.last_row(i): verdict for i, verdict in seen.ids.items()}
