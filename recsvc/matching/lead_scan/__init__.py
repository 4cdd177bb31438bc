"""Which leads of the base a member should be shown, without looking at most of them.

Steps, each looking closer at fewer rows: blocks by what their leads share (organization, county,
topic, age), then by where they lie; rows of the best blocks by their own place and words; rows of
lists of embeddings, if their block speaks for them; the best of all these by their embedding, too.
Every step reads the ranker's own tables, so what counts for the score counts here, and the ranker
has the last word on what is left.

`members`, `m`: the columns and the local row of the member. Scores here are float32 and leave out
what is equal for all leads.

scope   what a scan is asked
member  what the scan asks of the member again and again
blocks  the best blocks, and the open leads in them
lists   rows of the probed lists of embeddings
rows    leads by their own place and words, and by their embedding
terms   what more than one step works out
best    the largest of many values
scan    the order of the steps

Numba's cache looks at a kernel's own file, not at those of the kernels it calls: after an edit of a
step delete the `*.nbi` files under the tree, or the old code of the step goes on running.
"""

from recsvc.matching.lead_scan.scan import find_leads
from recsvc.matching.lead_scan.scope import Depth, Scope

__all__ = ["Depth", "Scope", "find_leads"]
