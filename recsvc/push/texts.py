"""What an operator or member reads about a plan, in Chinese, and true."""

from __future__ import annotations

from recsvc.matching.explain import VERDICT_TEXTS
from recsvc.model.verdicts import Verdict
from recsvc.push.caps import Limit
from recsvc.push.types import Unserved

UNSERVED_TEXTS: dict[Unserved, str] = {
    Unserved.NOBODY_ELIGIBLE: "没有符合条件的委员",
    Unserved.EVERYBODY_PUSHED: "符合条件的委员都已收到过该线索",
    Unserved.CAPS_USED: "符合条件的委员都已达到推送上限或暂停接收",
    Unserved.HOLDOUT: "该线索属于对照组，不推送",
    Unserved.IN_HAND: "该线索已有委员领办",
    Unserved.WAITING: "上一轮推送尚未到期，等待委员领办",
    Unserved.NOBODY_TOOK: "各轮各级推送后仍无人领办，请人工处理",
    Unserved.PAUSED: "该机构已暂停推送",
}

LIMIT_TEXTS: dict[Limit, str] = {
    Limit.NONE: "",
    Limit.DAY: "已达当日推送上限",
    Limit.WEEK: "已达本周推送上限",
    Limit.OWN_LIMIT: "已达委员自设的每周上限",
    Limit.GAP: "距上一次推送时间过短",
    Limit.BUSY: "委员表示近期较忙，暂停推送",
    Limit.SEE_LESS: "委员要求减少推送",
    Limit.IGNORED: "多次推送未获回应，已减少推送",
    Limit.PAUSED: "推送已暂停",
    Limit.HOLDOUT: "该委员属于对照组，不推送",
}


def unserved_text(reason: Unserved, removed: dict[str, int]) -> str:
    """The reason, and how many members each mask or cap took."""
    parts = [f"{_name(name)}：{count}人" for name, count in removed.items() if count]
    text = UNSERVED_TEXTS[reason]
    return f"{text}（{'；'.join(parts)}）" if parts else text


def _name(code: str) -> str:
    if code in Verdict.__members__:
        return VERDICT_TEXTS[Verdict[code]]
    if code in Limit.__members__:
        return LIMIT_TEXTS[Limit[code]]
    return "已推送过该线索"
