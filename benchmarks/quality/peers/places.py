"""A peer that knows where: near where a member was before, and popular."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.peers.job import Floats, Ints, Job

_EARTH_KM = 6371.0


class NearestAndPopular:
    """log(1 + takers of a lead) + weight · log(how often a member was around it, by a kernel).

    A member without any place is near nothing: popularity alone.
    """

    bandwidth_km = 1.0
    weight = 1.0

    def fit(self, job: Job) -> None:
        """See Peer."""
        counts = np.bincount(job.claim_lead, minlength=job.shape[1])
        self._popular = np.log1p(counts).astype(np.float32)
        self._points = points(job.lead_latitude, job.lead_longitude)
        self._homes = points(job.member_latitude, job.member_longitude)
        self._taken = job.interactions()

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        return np.asarray(self._popular[leads] + self.weight * self.near(members, leads))

    def near(self, members: Ints, leads: Ints) -> Floats:
        """log of the density (float32[b, c]) of a member's places at each lead, 0 for the best."""
        out = np.zeros((len(members), len(leads)), np.float32)
        wanted = self._points[leads]
        for at, member in enumerate(members.tolist()):
            row = self._taken[member]
            where = np.vstack([self._homes[member : member + 1], self._points[row.indices]])
            often = np.append(np.float32(1.0), np.asarray(row.data, np.float32))
            known = where.any(axis=1)
            if known.any():
                out[at] = self._density(where[known], often[known], wanted)
        return out

    def _density(self, where: Floats, often: Floats, wanted: Floats) -> Floats:
        cosine = np.clip(wanted @ where.T, -1.0, 1.0)
        distance_km = _EARTH_KM * np.arccos(cosine)
        kernel = 1.0 / (1.0 + (distance_km / self.bandwidth_km) ** 2)
        density = np.log(kernel @ (often / often.sum()) + 1e-9)
        density[~wanted.any(axis=1)] = np.median(density)
        return np.asarray(density - density.max(), np.float32)


def points(latitude: Floats, longitude: Floats) -> Floats:
    """Points on the unit sphere (float32[n, 3]), zero where unknown."""
    xyz = [
        np.cos(latitude) * np.cos(longitude),
        np.cos(latitude) * np.sin(longitude),
        np.sin(latitude),
    ]
    return np.asarray(np.nan_to_num(np.stack(xyz, axis=1)), np.float32)
