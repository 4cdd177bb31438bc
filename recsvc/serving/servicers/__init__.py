"""The contract's services: from a request to worker, store and pipeline, and back.

shared          what all of them need: tenant of a name, the view to answer from, deadlines
kinds           members, leads, organizations, conflicts as one shape
catalog         CatalogService; reads, writes, imports hold its work
recommendation  RecommendationService; ranking holds what lists share, explanation Explain
participation   ParticipationService
claim           ClaimService
push            PushService
model           ModelService
"""
