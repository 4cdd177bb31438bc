"""Words and topics of members and leads as TF-IDF rows, and what members took as one."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import normalize

from benchmarks.quality.peers.job import Floats, Ints, Job


def tfidf(job: Job) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """L2-normalised TF-IDF rows: members csr[m, t], leads csr[n, t]; the idf is of the leads."""
    if not job.lead_content.shape[1]:
        return job.member_content, job.lead_content
    transformer = TfidfTransformer(sublinear_tf=True).fit(job.lead_content)
    return transformer.transform(job.member_content), transformer.transform(job.lead_content)


def profiles(job: Job) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """What a member wrote of themselves beside what they took, as one row; and the leads."""
    members, leads = tfidf(job)
    taken = normalize(job.interactions() @ leads)
    return normalize(members + taken).tocsr(), leads


class TfidfProfile:
    """Cosine of a lead with the mean of a member's own words and of the leads they took."""

    def fit(self, job: Job) -> None:
        """See Peer."""
        self._members, leads = profiles(job)
        self._leads = leads.T.tocsc()

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        return np.asarray((self._members[members] @ self._leads[:, leads]).toarray(), np.float32)


class TfidfNearest:
    """Cosine of a lead with the nearest single text: the member's own, or of a lead they took."""

    def fit(self, job: Job) -> None:
        """See Peer."""
        self._own, self._leads = tfidf(job)
        self._taken = job.interactions()

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        taken, wanted = self._taken[members], self._leads[leads].T.tocsc()
        near = np.asarray((self._own[members] @ wanted).toarray(), np.float32)
        rows = np.repeat(np.arange(len(members)), np.diff(taken.indptr))
        touched, place = np.unique(taken.indices, return_inverse=True)
        likeness = np.asarray((self._leads[touched] @ wanted).toarray(), np.float32)
        np.maximum.at(near, rows, likeness[place])
        return near
