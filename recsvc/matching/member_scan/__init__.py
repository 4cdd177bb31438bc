"""Which members of the base a lead should be shown to, without looking at most of them.

Three steps, each looking closer at fewer rows: cells by where they are, members of the cells by
what they are worth to leads of these topics, the best of these by their vectors. Whoever a lead's
vectors point at is looked at beside. Every step reads the ranker's own tables, so what counts for
the score counts here, and the ranker has the last word on what is left. Scores here are float32 and
leave out what is equal for all members.

scope     what a scan is asked
asked     what it needs to know of the lead
cells     what speaks for a cell
frontier  the members that cells and runs promise most of
vectors   rows of the probed lists, inner products of given rows
places    the term of a distance
most      about so many of the largest values
scan      the order of the steps

Numba's cache looks at a kernel's own file, not at those of the kernels it calls: after an edit of a
step delete the `*.nbi` files under the tree, or the old code of the step goes on running.
"""

from recsvc.matching.member_scan.scan import find_members
from recsvc.matching.member_scan.scope import Asked, Depth, Scope

__all__ = ["Asked", "Depth", "Scope", "find_members"]
