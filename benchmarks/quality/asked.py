"""Which peers can answer a question, and why the others cannot: all are in the table."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.peers import names
from benchmarks.quality.peers.job import Job
from benchmarks.quality.questions import Question

UNTOUCHED = "knows nothing of leads that nobody took"


def why_not(name: str, job: Job, question: Question) -> str:
    """Why a peer is not asked; empty when it is. `job` is what it would be told."""
    has_content = job.lead_content.nnz > 0
    if name in names.OF_CLAIMS and not len(job.claim_lead):
        return "nobody took anything in the training part"
    if name in names.OF_EXPOSURES and not len(job.exposed_lead):
        return "nothing was pushed or shown in the training part"
    if name in names.OF_CONTENT and not has_content:
        return "the leads have neither text nor topics"
    if name in names.OF_PLACES and not np.isfinite(job.lead_latitude).any():
        return "the leads have no places"
    if job.fold_leads:
        if name in names.OF_LEADS_TAKEN or name == "EASE + nearest":
            return UNTOUCHED
        if name in names.MAPPED and not has_content:
            return f"{UNTOUCHED}, without text or topics"
    if question.is_costly and name not in names.FOR_PLANS:
        return "not asked for lists of a thousand members"
    return ""
