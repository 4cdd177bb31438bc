"""The pick-up alternative: what a good engineer writes in an afternoon, behind the same messages.

    python -m benchmarks.hotpath.peer MODELS FACTORS

implicit's ALS factors, a flat faiss search of the 200 best with the forbidden leads left out by a
bitmap, then distance, freshness and urgency weighed in with NumPy. It keeps the same masks as we do
(jurisdiction, recusal, authorship, what is done with), and gives two reasons an item.
"""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.hotpath.child_server import Lists, serve
from recsvc.model.arrays import F32, stable_key
from recsvc.model.bundle import Bundle
from recsvc.model.history import VERDICT_OF_KIND
from recsvc.model.organizations import OrganizationTree
from recsvc.model.registry import ModelRegistry
from recsvc.v1 import recommendation_pb2 as pb

FETCHED = 200
_EARTH_KM = 6371.0
_DAY_US = 86_400_000_000
_TASTE, _NEAR, _FRESH, _URGENT = 1.0, 0.5, 0.2, 0.1
_CODES = (
    pb.REASON_CODE_INTEREST,
    pb.REASON_CODE_PLACE,
    pb.REASON_CODE_FRESHNESS,
    pb.REASON_CODE_URGENCY,
)
_TEXTS = ("与您参与过的线索相似", "距您约{:.1f}公里", "新近提出", "紧急程度：较急")
_REASONS = 2

Mask = NDArray[np.bool_]


class Peer:
    """Factors, columns and lookups, all in memory."""

    def __init__(self, bundle: Bundle, members: F32, leads: F32) -> None:
        self._bundle = bundle
        self._factors = members
        self._index = faiss.IndexFlatIP(leads.shape[1])
        self._index.add(np.ascontiguousarray(leads))
        self._ids = bundle.lead_ids.ids
        self._tree = OrganizationTree(bundle.organizations, bundle.organization_ids)
        self._alive = (bundle.leads.alive > 0) & (bundle.leads.state == 1)
        self._done = _done_with(bundle)
        self._recused = _recused(bundle, self._tree)
        faiss.omp_set_num_threads(1)

    def recommend(self, member_id: str, count: int) -> list[tuple[str, float, float, F32]]:
        """(lead, score, kilometres, the four parts of the score) of the best, best first."""
        row = self._bundle.member_ids.get(member_id)
        allowed = self._allowed(row, member_id)
        bitmap = np.packbits(allowed, bitorder="little")
        parameters: Any = faiss.SearchParameters()
        parameters.sel = faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bitmap))
        tastes, found = self._index.search(self._factors[row : row + 1], FETCHED, params=parameters)
        rows = found[0][found[0] >= 0]
        parts, km = self._parts(row, rows, tastes[0][: len(rows)])
        scores = parts.sum(axis=1)
        best = np.argsort(-scores)[:count]
        return [(self._ids[rows[i]], float(scores[i]), float(km[i]), parts[i]) for i in best]

    def _allowed(self, row: int, member_id: str) -> Mask:
        leads, members = self._bundle.leads, self._bundle.members
        visible = self._tree.visible_leads(int(members.organization[row]))
        allowed: Mask = self._alive & (visible[leads.organization] > 0)
        allowed &= leads.author_key != members.key[row]
        allowed[self._done.get(row, [])] = False
        for column, values in self._recused.get(member_id, {}).items():
            allowed &= ~np.isin(getattr(leads, column), values)
        return allowed

    def _parts(self, row: int, rows: NDArray[np.int64], taste: F32) -> tuple[F32, F32]:
        leads, members = self._bundle.leads, self._bundle.members
        km = _kilometres(
            members.latitude_rad[row][:, None],
            members.longitude_rad[row][:, None],
            leads.latitude_rad[rows],
            leads.longitude_rad[rows],
        )
        days = (time.time_ns() // 1_000 - leads.create_time_us[rows]) / _DAY_US
        parts = np.stack(
            [
                _TASTE * taste,
                _NEAR * np.exp(-km / 10.0),
                _FRESH * np.exp(-days / 30.0),
                _URGENT * leads.urgency[rows],
            ],
            axis=1,
        ).astype(np.float32)
        return parts, km


def _kilometres(lat: F32, lon: F32, other_lat: F32, other_lon: F32) -> F32:
    """float32[n], to the nearest place; 1,000 where unknown."""
    half = np.sin((other_lat - lat) / 2) ** 2
    half = half + np.cos(lat) * np.cos(other_lat) * np.sin((other_lon - lon) / 2) ** 2
    km = 2 * _EARTH_KM * np.arcsin(np.sqrt(half))
    return np.asarray(np.nan_to_num(km, nan=1_000.0).min(axis=0), np.float32)


def _done_with(bundle: Bundle) -> dict[int, NDArray[np.int32]]:
    """Member row -> rows of the leads that are not to be offered again."""
    base = bundle.history
    ends = np.isin(base.kind, [int(kind) for kind in VERDICT_OF_KIND])
    found = {}
    for row in range(len(base.member_start) - 1):
        part = slice(int(base.member_start[row]), int(base.member_start[row + 1]))
        found[row] = base.lead[part][ends[part]]
    return found


def _recused(bundle: Bundle, tree: OrganizationTree) -> dict[str, dict[str, list[int]]]:
    """Member id -> column of the leads -> values that rule a lead out."""
    found: dict[str, dict[str, list[int]]] = {}
    for conflict in bundle.conflicts:
        columns = found.setdefault(conflict.member_id, {})
        if conflict.lead_id:
            columns.setdefault("key", []).append(stable_key(conflict.lead_id))
        if conflict.author_id:
            columns.setdefault("author_key", []).append(stable_key(conflict.author_id))
        if conflict.organization_id:
            columns.setdefault("organization", []).append(tree.find(conflict.organization_id))
    return found


class PeerServicer(Lists):
    """The messages around it."""

    def __init__(self, peer: Peer, model_id: str) -> None:
        self._peer = peer
        self._model_id = model_id

    async def RecommendLeads(
        self, request: pb.RecommendLeadsRequest, context: Any
    ) -> pb.RecommendLeadsResponse:
        """The best leads of a member."""
        tenant, _, member_id = request.member.partition("/members/")
        found = self._peer.recommend(member_id, request.page_size or 10)
        items = [
            pb.RecommendedLead(
                lead=f"{tenant}/leads/{lead}",
                position=place,
                score=score,
                reasons=_reasons(parts, km),
                distance_km=km,
            )
            for place, (lead, score, km, parts) in enumerate(found)
        ]
        return pb.RecommendLeadsResponse(
            leads=items,
            attribution_token=f"{self._model_id}:{time.time_ns()}",
            model_version=self._model_id,
            serving_mode=pb.SERVING_MODE_PERSONALIZED,
        )


def _reasons(parts: F32, km: float) -> list[pb.Reason]:
    best = np.argsort(-parts)[:_REASONS].tolist()
    return [
        pb.Reason(code=_CODES[i], weight=float(parts[i]), text=_TEXTS[i].format(km)) for i in best
    ]


def main(models: Path, factors: Path) -> None:
    """Loads and serves."""
    registry = ModelRegistry(models)
    bundle = registry.load(registry.published() or "")
    found = np.load(factors, allow_pickle=False)
    peer = Peer(bundle, found["members"], found["leads"])
    serve(PeerServicer(peer, bundle.manifest.model_id))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
