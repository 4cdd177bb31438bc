"""Why a plan does not push a lead to a member, in Chinese, without anybody else's data.

A place that a cap gave to other leads is told with those leads: they are the member's own. That a
lead went to others is told by their number, never by their names.
"""

from __future__ import annotations

from recsvc.push.texts import UNSERVED_TEXTS
from recsvc.push.types import Plan


def why_not(plan: Plan, member_id: str, lead_id: str) -> str:
    """Why the pair is not in the plan; "" when it is.

    Masks come before the plan: whoever asks for a masked pair is told so by Pipeline.explain.
    """
    own = [push for push in plan.pushes if push.member_id == member_id]
    if any(push.lead_id == lead_id for push in own):
        return ""
    unserved = plan.unserved.get(lead_id)
    if unserved is not None:
        return f"{UNSERVED_TEXTS[unserved.reason]}。"
    others = [push for push in plan.pushes if push.lead_id == lead_id]
    if not others:
        return "该线索不在本次推送计划之内。"
    price = plan.member_prices.get(member_id, 0.0)
    if own and price > 0:
        names = "、".join(push.lead_id for push in own)
        return f"您本次的推送名额已用于其他线索：{names}。"
    if plan.lead_prices.get(lead_id, 0.0) > 0:
        return f"该线索本轮已推送给{len(others)}位委员，名额已满。"
    return f"该线索本轮已推送给{len(others)}位其他委员。"
