"""A lead that is not stored, beside those that are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.entities import Lead
from features.vocabulary import Vocabulary
from recsvc.model.answers import content_appeal
from recsvc.model.arrays import LeadColumns, empty_leads
from recsvc.model.assemble import fill_leads
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot


def draft_table(snapshot: Snapshot, lead: Lead) -> Table[LeadColumns]:
    """A lead that is not stored, as a table of one row.

    An organization that nobody has named before counts as none: reading must not make one.
    """
    widths, organizations = snapshot.bundle.widths, snapshot.organizations
    if organizations.find(lead.organization_id) < 0:
        lead = replace(lead, organization_id="")
    columns = empty_leads(1, widths)
    features, vectors = snapshot.read_leads([lead])
    fill_leads(columns, np.zeros(1, np.int32), [lead], features, organizations)
    columns.vector[:] = vectors
    columns.content_appeal[:] = content_appeal(columns.text, snapshot.bundle.context)
    return Table(columns, Vocabulary(["draft"]), lambda _: b"", lambda n: empty_leads(n, widths))
