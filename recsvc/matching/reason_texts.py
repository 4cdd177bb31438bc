"""What each fact about a pair is in Chinese."""

from __future__ import annotations

from features.extract import FeatureSpace
from recsvc.matching.group_facts import Fact
from recsvc.matching.kept_bytes import KeptBytes

_PLACE_NAMES = ("常用地点", "住所", "单位", "工作室")  # as in PLACE_KINDS
_URGENCY = ("一般", "较急", "紧急", "特急")
_LEVELS = ("同省", "同市", "同县（区）", "同乡镇（街道）")
_MOST_KEPT = 20_000
_DAYS_OF_A_YEAR = 365


class ReasonTexts:
    """Says facts to a member ("您") or about one ("该委员"), in the words of one feature space.

    The same few thousand sentences are said again and again, so they are kept.
    """

    def __init__(self, space: FeatureSpace, you: str) -> None:
        self._space = space
        self._you = you
        self._kept: dict[tuple[int, int, int], str] = {}
        self.encoded = KeptBytes()
        """What a transport made of facts (int32[4]: group, fact, its two numbers)."""

    def text(self, fact: int, a: int, b: int) -> str:
        """One fact in words."""
        key = (fact, a, b)
        text = self._kept.get(key)
        if text is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
                self.encoded.clear()
            text = self._kept[key] = self._say(Fact(fact), a, b)
        return text

    def _say(self, fact: Fact, a: int, b: int) -> str:
        you = self._you
        match fact:
            case Fact.SHARED_TOPICS:
                return f"与{you}的专业特长“{self._topics(a, b)}”相符"
            case Fact.LIKELY_TOPICS:
                return f"从{you}填写的专长和界别看，{you}可能熟悉“{self._topics(a, b)}”"
            case Fact.SECTOR:
                return f"{you}所在的{self._space.sectors.ids[a]}常参与此类线索"
            case Fact.ANSWERED_TOPICS:
                return f"{you}较常查看、领办收到的“{self._topics(a, b)}”类线索"
            case Fact.MET_TOPICS:
                return f"{you}参与过“{self._topics(a, b)}”类线索"
            case Fact.NEAR_PLACE:
                return f"距{you}的{_PLACE_NAMES[a]}约{_kilometres(b)}"
            case Fact.SAME_REGION:
                return f"与{you}{_LEVELS[a - 1]}"
            case Fact.NEAR_ACTIVITY:
                return f"距{you}常参与线索的地点约{_kilometres(b)}"
            case Fact.DAYS_OLD:
                return _age(a)
            case Fact.URGENCY:
                return f"紧急程度：{_URGENCY[a]}"
            case Fact.EXPOSED:
                return f"{you}此前收到{a}次推荐，领办{b}次"
            case Fact.TAKEN_PART:
                return f"已有{a}人次参与此线索"
            case _:
                return _PLAIN[fact].format(you=you)

    def _topics(self, *topics: int) -> str:
        names = self._space.topics.names.ids
        return "、".join(names[topic] for topic in topics if topic >= 0)


_PLAIN = {
    Fact.ALIKE_EXPERTISE: "内容与{you}填写的专长相近",
    Fact.ALIKE_ANSWERED: "与{you}常查看、领办的线索内容相近",
    Fact.ALIKE_MET_TEXT: "与{you}参与过的线索内容相近",
    Fact.ALIKE_MET: "与{you}参与过的线索相似",
    Fact.ALIKE_OWN: "与{you}提出或领办过的线索内容相近",
    Fact.TAKEN_TOGETHER: "与{you}参与过相同线索的委员也参与了此线索",
    Fact.OTHERS: "其他委员较多参与此类线索",
    Fact.OWN_ORGANIZATION: "线索属于{you}所在的组织",
    Fact.WANTED_CONTENT: "此类内容的线索较多有人领办",
}


def _kilometres(tenths: int) -> str:
    if tenths < 10:
        return f"{tenths * 100}米"
    return f"{tenths / 10:.1f}公里" if tenths < 100 else f"{tenths // 10}公里"


def _age(days: int) -> str:
    if days < 1:
        return "24小时内新提交"
    return f"{days}天前提交" if days < _DAYS_OF_A_YEAR else f"{days // _DAYS_OF_A_YEAR}年前提交"
