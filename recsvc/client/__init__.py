"""The client: recommendations, matches and the catalog in plain Python.

    from recsvc.client import Client

    with Client("127.0.0.1:50051", tenant="hn", token="…") as client:
        for lead in client.recommend("m-17", count=5):
            print(lead.lead_id, lead.claim_probability, lead.reasons[0].text)

`Client` blocks, `AsyncClient` awaits; both take and give entities (features.entities) and the types
below, raise the errors of recsvc.errors, try again where that helps, read their own writes and
spread over the service's workers.
"""

from features.entities import (
    Conflict,
    DismissReason,
    Event,
    EventKind,
    Lead,
    LeadState,
    Member,
    Organization,
    Place,
)
from recsvc.client.aio import AsyncClient
from recsvc.client.blocking import Client
from recsvc.client.claims import Claim
from recsvc.client.model_types import (
    Durability,
    GateCheck,
    Model,
    ModelMetric,
    Worker,
    WorkerList,
)
from recsvc.client.options import DEFAULT_ADDRESS, RetryPolicy, Timeouts, Tls
from recsvc.client.pushes import (
    AckReport,
    Delivered,
    Push,
    PushPause,
    PushPlan,
    PushStatus,
    UnservedLead,
)
from recsvc.client.types import (
    Blocked,
    Eligibility,
    EventReport,
    Explanation,
    ImportReport,
    LeadList,
    MemberList,
    MemberOutcome,
    PairScore,
    RankedLead,
    RankedMember,
    Reason,
    ReplyInfo,
    RowError,
    ScoreTerm,
)

__all__ = [
    "DEFAULT_ADDRESS",
    "AckReport",
    "AsyncClient",
    "Blocked",
    "Claim",
    "Client",
    "Conflict",
    "Delivered",
    "DismissReason",
    "Durability",
    "Eligibility",
    "Event",
    "EventKind",
    "EventReport",
    "Explanation",
    "GateCheck",
    "ImportReport",
    "Lead",
    "LeadList",
    "LeadState",
    "Member",
    "MemberList",
    "MemberOutcome",
    "Model",
    "ModelMetric",
    "Organization",
    "PairScore",
    "Place",
    "Push",
    "PushPause",
    "PushPlan",
    "PushStatus",
    "RankedLead",
    "RankedMember",
    "Reason",
    "ReplyInfo",
    "RetryPolicy",
    "RowError",
    "ScoreTerm",
    "Timeouts",
    "Tls",
    "UnservedLead",
    "Worker",
    "WorkerList",
]
