"""What serving reads beside a bundle, worked out once, before the bundle is published."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise

import numpy as np

from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.listed_members import MemberConfig, listed_members
from recsvc.matching.member_filter import filter_members
from recsvc.matching.page import top
from recsvc.matching.retrieve import listed_leads
from recsvc.matching.score import score_leads, score_members
from recsvc.model.arrays import I32, I64, U8
from recsvc.model.bundle import Bundle, Manifest
from recsvc.model.short_lists import ShortLists
from recsvc.model.snapshot import Snapshot, with_tables

LISTED = 128
"""Leads of a short list: a page and its successors, and as many again that may be taken."""

THOROUGH = CandidateConfig(
    probes=96, list_rows=8192, list_kept=512, block_rows=4096, block_kept=512, ranked=256
)
"""How deep the search for a short list looks: .994 of what the ranker would choose among all."""


LISTED_FOR_LEADS = 64
MOST_LEADS = 100_000
"""Of so many leads members are listed, two minutes of one processor's time: of the newest."""
THOROUGH_FOR_LEADS = MemberConfig(looked=1024, kept=256, probes=96, by_vector=40, ranked=128)
"""The same for the members of an open lead."""


def prepared(bundle: Bundle, threads: int = 1) -> Bundle:
    """The same bundle with the tables of its snapshots and the short lists of members and leads."""
    made = with_tables(bundle)
    tables = {
        "short_lists": make_short_lists(made, threads),
        "lead_lists": make_lead_lists(made, threads),
    }
    for name, lists in tables.items():
        if (lists.row >= 0).any():
            made.tables.put(name, lists)
    return made


def make_short_lists(
    bundle: Bundle, threads: int = 1, config: CandidateConfig = THOROUGH, length: int = LISTED
) -> ShortLists:
    """Short lists of all members who may see more leads than a request would compare one by one.

    They hold what is best at the time the bundle was made. Each thread works on its own members.
    """
    now_us = _made_us(bundle.manifest)

    def part(span: tuple[int, int]) -> I32:
        return _lists_of(Snapshot(bundle), range(*span), now_us, config, length)

    rows = _in_parts(part, len(bundle.member_ids), threads)
    snapshot = Snapshot(bundle)
    open_then = _open_leads(snapshot, now_us)
    organizations = snapshot.organizations
    return ShortLists(rows, open_then, organizations.reach_sums(len(organizations)), now_us)


def make_lead_lists(
    bundle: Bundle,
    threads: int = 1,
    config: MemberConfig = THOROUGH_FOR_LEADS,
    length: int = LISTED_FOR_LEADS,
    most: int = MOST_LEADS,
) -> ShortLists:
    """Short lists of the newest open leads, where not all members would be compared one by one."""
    now_us = _made_us(bundle.manifest)
    snapshot = Snapshot(bundle)
    open_rows = np.flatnonzero(_open_leads(snapshot, now_us))
    order = np.argsort(-bundle.leads.create_time_us[open_rows], kind="stable")
    chosen = np.sort(open_rows[order[:most]])

    def part(span: tuple[int, int]) -> I32:
        return _lists_of_leads(Snapshot(bundle), chosen[slice(*span)], now_us, config, length)

    rows = np.full((len(bundle.lead_ids), length), -1, np.int32)
    rows[chosen] = _in_parts(part, len(chosen), threads)
    open_then = (snapshot.member_search.open.verdict == 0).astype(np.uint8)
    organizations = snapshot.organizations
    return ShortLists(rows, open_then, organizations.reach_sums(len(organizations)), now_us)


def _in_parts(part: Callable[[tuple[int, int]], I32], count: int, threads: int) -> I32:
    """What the threads make of their parts of `count` rows."""
    bounds = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(part, pairwise(bounds))))


def _open_leads(snapshot: Snapshot, now_us: int) -> U8:
    """Which base leads are open (uint8[n])."""
    found = np.zeros(snapshot.leads.base_count, np.uint8)
    found[snapshot.blocks.row] = snapshot.open_leads.at(now_us).verdict == 0
    return found


def _lists_of_leads(
    snapshot: Snapshot, leads: I64, now_us: int, config: MemberConfig, length: int
) -> I32:
    out = np.full((len(leads), length), -1, np.int32)
    columns, ids = snapshot.leads.base, snapshot.bundle.lead_ids.ids
    for at, lead in enumerate(leads.tolist()):
        filtered = filter_members(snapshot, columns, lead, ids[lead], now_us)
        if filtered.eligible_count > config.all_below:
            rows = listed_members(snapshot, columns, lead, filtered, 1, config)
            scored = score_members(snapshot, rows, columns, lead, now_us)
            best = rows[top(scored.scores, length)]
            out[at, : len(best)] = best
    return out


def _lists_of(
    snapshot: Snapshot, members: range, now_us: int, config: CandidateConfig, length: int
) -> I32:
    out = np.full((len(members), length), -1, np.int32)
    for at, member in enumerate(members):
        filtered = filter_leads(snapshot, member, now_us)
        if filtered.eligible_count > config.close_below:
            rows = listed_leads(snapshot, member, filtered, 1, config)
            scored = score_leads(snapshot, snapshot.members.base, member, rows, now_us)
            best = rows[top(scored.scores, length)]
            out[at, : len(best)] = best
    return out


def _made_us(manifest: Manifest) -> int:
    if manifest.create_time:
        return int(datetime.fromisoformat(manifest.create_time).timestamp() * 1e6)
    return manifest.interest.reference_time_us
