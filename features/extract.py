"""The one extraction of features from members and leads, used offline and online.

`FeatureSpace.fit` freezes vocabularies and projections from a data set; `leads` and `members` then
turn records into arrays, in batches or one by one, with the same result. Everything about a record
is optional: what is missing comes out as zero rows, -1 or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.columns import (
    LEAD_TOPICS,
    MEMBER_PLACES,
    MEMBER_TOPICS,
    LeadFeatures,
    MemberFeatures,
)
from features.config import FeatureConfig
from features.encoder import SentenceEncoder
from features.entities import Lead, Member
from features.errors import DataError
from features.expertise import ExpertiseModel, profile_texts
from features.location import locate, member_places
from features.regions import RegionTable
from features.state import Arrays, content_hash, read_state, write_state
from features.text import TextModel
from features.tokens import Documents
from features.topic_learning import learn_expertise, learn_topics
from features.topic_model import OPENING_LETTERS, TopicModel
from features.topics import TopicTable
from features.vocabulary import Vocabulary

__all__ = ["FeatureConfig", "FeatureSpace", "LeadFeatures", "MemberFeatures", "lead_text"]

_URGENCY_MAX = 3
_FORMAT = 1


class FeatureSpace:
    """Everything frozen that turns records into features; immutable.

    topics: the topic table, sectors: row ↔ sector, regions: the region table, version: hash of the
    frozen content.
    """

    def __init__(
        self,
        config: FeatureConfig,
        text: TextModel,
        topics: TopicTable,
        topic_model: TopicModel | None,
        sectors: Vocabulary,
        regions: RegionTable,
        expertise: ExpertiseModel | None = None,
    ) -> None:
        self.config = config
        self.text = text
        self.topics = topics
        self.topic_model = topic_model
        self.sectors = sectors
        self.regions = regions
        self.expertise = expertise
        self.version = content_hash(*self.state())

    @classmethod
    def fit(
        cls,
        members: Sequence[Member],
        leads: Sequence[Lead],
        config: FeatureConfig,
        seed: int,
        encoder: SentenceEncoder | None = None,
    ) -> FeatureSpace:
        """Learns vocabularies and projections; same input and seed give the same version.

        The encoder matters with `config.use_encoder`; None means that of the extra `encoder`, and
        DataError says so when it is not installed.
        """
        topics = [lead.topics for lead in leads] + [member.topics for member in members]
        texts = [*map(lead_text, leads), *(member.expertise for member in members)]
        sectors = Vocabulary(sorted({member.sector for member in members} - {""}))
        text = TextModel.fit(texts, topics, config, seed, encoder)
        table = TopicTable.fit(topics)
        count = len(leads)  # members' texts are too short to learn topics from
        return cls(
            config,
            text,
            table,
            learn_topics(texts[:count], topics[:count], text, table, config, seed),
            sectors,
            RegionTable.load(),
            learn_expertise(members, text, table, sectors, config, seed),
        )

    def leads(self, leads: Sequence[Lead]) -> LeadFeatures:
        """Features of n leads, each row independent of the others."""
        return self.leads_with_content(leads)[0]

    def leads_with_content(self, leads: Sequence[Lead]) -> tuple[LeadFeatures, sparse.csr_matrix]:
        """What `leads` and `content` give, of texts that are read once."""
        documents = self._documents(leads)
        rows = self.text.rows(documents)
        topics, topic_weights = self.topics.arrays([lead.topics for lead in leads], LEAD_TOPICS)
        inferred = self._infer_topics(leads, documents, rows, topics, topic_weights)
        n = len(leads)
        region = np.full((n, 4), -1, np.int32)
        latitude = np.full(n, np.nan, np.float32)
        longitude = np.full(n, np.nan, np.float32)
        for row, lead in enumerate(leads):
            place = locate(self.regions, lead.region_code, lead.latitude, lead.longitude)
            region[row] = place.levels
            latitude[row], longitude[row] = place.latitude_rad, place.longitude_rad
        found = LeadFeatures(
            text=self.text.vectors(rows, list(map(lead_text, leads))),
            topics=topics,
            topic_weights=topic_weights,
            topics_inferred=inferred,
            region=region,
            latitude_rad=latitude,
            longitude_rad=longitude,
            urgency=np.array([min(max(x.urgency, 0), _URGENCY_MAX) for x in leads], np.uint8),
            create_time_us=np.array([lead.create_time_us for lead in leads], np.int64),
        )
        return found, rows

    def _infer_topics(
        self,
        leads: Sequence[Lead],
        documents: Documents,
        rows: sparse.csr_matrix,
        topics: NDArray[np.int32],
        topic_weights: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        """Fills in topics of leads that name none; uint8[n], 1 where it found some."""
        inferred = np.zeros(len(leads), np.uint8)
        bare = [row for row, lead in enumerate(leads) if not lead.topics]
        if self.topic_model is None or not bare:
            return inferred
        opening = self.text.rows(documents, OPENING_LETTERS)
        found = self.topic_model.infer(rows[bare], opening[bare])
        for row, likely in zip(bare, found, strict=True):
            inferred[row] = bool(likely)
            self.topics.fill(topics[row], topic_weights[row], likely)
        return inferred

    def members(self, members: Sequence[Member]) -> MemberFeatures:
        """Features of n members, each row independent of the others."""
        n = len(members)
        own = [member.topics for member in members]
        topics, topic_weights = self.topics.arrays(own, MEMBER_TOPICS)
        topics_named = (topics >= 0).sum(axis=1, dtype=np.uint8)
        latitude = np.full((n, MEMBER_PLACES), np.nan, np.float32)
        longitude = np.full((n, MEMBER_PLACES), np.nan, np.float32)
        region = np.full((n, MEMBER_PLACES, 4), -1, np.int32)
        for row, member in enumerate(members):
            for column, place in enumerate(member_places(member)[:MEMBER_PLACES]):
                at = locate(self.regions, place.region_code, place.latitude, place.longitude)
                region[row, column] = at.levels
                latitude[row, column], longitude[row, column] = at.latitude_rad, at.longitude_rad
        text = profile_texts(self.text, members)
        sector = self.sectors.rows([m.sector for m in members], "minus_one")
        if self.expertise is not None:
            self.expertise.refine(topics, topic_weights, text, sector)
        return MemberFeatures(
            text=text,
            topics=topics,
            topic_weights=topic_weights,
            topics_named=topics_named,
            sector=sector,
            place_latitude_rad=latitude,
            place_longitude_rad=longitude,
            place_region=region,
        )

    def content(self, leads: Sequence[Lead]) -> sparse.csr_matrix:
        """TF-IDF float32 [n, terms] over words, n-grams and all topics, rows of L2 length 1."""
        return self.text.rows(self._documents(leads))

    def _documents(self, leads: Sequence[Lead]) -> Documents:
        return self.text.documents(list(map(lead_text, leads)), [lead.topics for lead in leads])

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """The frozen arrays by name, and the settings as JSON values."""
        text_arrays, text_settings = self.text.state()
        names, offsets = self.topics.names.to_arrays()
        sectors, sector_offsets = self.sectors.to_arrays()
        model_arrays = self.topic_model.state() if self.topic_model else {}
        arrays = (
            text_arrays
            | model_arrays
            | (self.expertise.state() if self.expertise else {})
            | {
                "topic_names": names,
                "topic_offsets": offsets,
                "topic_weights": self.topics.weights,
                "sector_names": sectors,
                "sector_offsets": sector_offsets,
            }
        )
        return arrays, {"format": _FORMAT, "config": asdict(self.config), "text": text_settings}

    def save(self, folder: Path) -> None:
        """Writes the space as `.npy` files and JSON into `folder`."""
        write_state(folder, *self.state())

    @classmethod
    def load(cls, folder: Path, encoder: SentenceEncoder | None = None) -> FeatureSpace:
        """Reads what `save` wrote; raises DataError when it is incomplete or of another format."""
        arrays, settings = read_state(folder)
        if settings.get("format") != _FORMAT:
            raise DataError(
                f"features in {folder} have format {settings.get('format')!r}, this version reads "
                f"{_FORMAT}: train again or install the version that wrote them"
            )
        try:
            config = FeatureConfig(**settings["config"])
            return cls(
                config,
                TextModel.from_state(arrays, settings["text"], config, encoder),
                TopicTable(
                    Vocabulary.from_arrays(arrays["topic_names"], arrays["topic_offsets"]),
                    arrays["topic_weights"],
                ),
                TopicModel.from_state(arrays),
                Vocabulary.from_arrays(arrays["sector_names"], arrays["sector_offsets"]),
                RegionTable.load(),
                ExpertiseModel.from_state(arrays),
            )
        except (KeyError, TypeError) as error:
            raise DataError(f"features in {folder} are incomplete: {error}") from error


def lead_text(lead: Lead) -> str:
    """What is read of a lead: title and body."""
    return f"{lead.title} {lead.body}" if lead.title and lead.body else lead.title or lead.body
