"""Split files that data sets bring along, and small helpers that everything here shares."""

from __future__ import annotations

from dataclasses import replace

from features.entities import Lead

TRUTH, COLD_LEADS, COLD_TRUTH = "truth.csv.gz", "cold_leads.csv.gz", "cold_truth.csv.gz"
LABELLED = "labelled.csv.gz"
WORLD = "truth/world.json"


def as_draft(lead: Lead) -> Lead:
    """The lead as somebody would type it: no id, no author."""
    return replace(lead, lead_id="", author_id="")
