"""What a search of the Hub brings, and what it never does."""

import threading
import time

import pytest

from tests.fakes.hub import FakeHub
from tests.fakes.hub_search import Listed
from tests.unit.hub.samples import CLOSED, assert_warm
from trainer.errors import UserError
from trainer.hub import search
from trainer.hub.search import MOST, HubModel, find_models

KINDS = ("wav2vec2", "hubert")


def find(hub: FakeHub, language: str = "de", **options: float) -> list[HubModel]:
    return find_models(language, KINDS, hub.url, **options)  # type: ignore[arg-type]


def test_ctc_checkpoints_of_the_language_come_the_most_downloaded_first(hub: FakeHub) -> None:
    hub.listed = [
        Listed("anna/small", downloads=5),
        Listed("ben/large", kind="hubert", head="HubertForCTC", downloads=900, licence="mit", parameters={"F16": 500}),
        Listed("carl/french", language="fr"),
    ]
    assert find(hub) == [
        HubModel("ben/large", "hubert", 1000, "mit", 900),
        HubModel("anna/small", "wav2vec2", 4_000_000, "apache-2.0", 5),
    ]
    assert [model.id for model in find(hub, "fr")] == ["carl/french"]


@pytest.mark.parametrize(
    "listed",
    [
        Listed("anna/whisper", kind="whisper", head="WhisperForConditionalGeneration"),
        Listed("anna/pickle", parameters={}),
        Listed("anna/emotion", head="Wav2Vec2ForSequenceClassification"),
        Listed("anna/gated", gated="manual"),
        Listed("anna/other-task", task="audio-classification"),
        Listed("anna/huge", parameters={"F32": 5 * 10**9}),
        Listed("anna/<b>name</b>"),
        Listed("../../etc/passwd"),
    ],
    ids=lambda listed: listed.id,
)
def test_what_cannot_be_used_is_not_found(hub: FakeHub, listed: Listed) -> None:
    hub.listed = [listed, Listed("anna/good")]
    assert [model.id for model in find(hub)] == ["anna/good"]


def test_whispers_are_found_where_they_are_asked_for(hub: FakeHub) -> None:
    head = "WhisperForConditionalGeneration"
    hub.listed = [
        Listed("anna/whisper", kind="whisper", head=head, downloads=9),
        Listed("anna/words", kind="whisper", head="WhisperForAudioClassification"),
        Listed("anna/good"),
    ]
    assert [model.id for model in find_models("de", (*KINDS, "whisper"), hub.url)] == ["anna/good", "anna/whisper"]


def test_a_licence_is_a_licences_name_or_nothing(hub: FakeHub) -> None:
    hub.listed = [Listed("anna/model", licence="<script>alert(1)</script>")]
    assert find(hub)[0].licence == ""


def test_the_list_stays_short(hub: FakeHub) -> None:
    hub.listed = [Listed(f"anna/model-{number}", downloads=number) for number in range(40)]
    assert [model.downloads for model in find(hub)] == list(range(39, 39 - MOST, -1))


def test_no_token_goes_along(hub: FakeHub) -> None:
    hub.listed = [Listed("anna/model")]
    find(hub)
    assert sum(seen.path == "/api/models" for seen in hub.requests) == len(KINDS)
    assert not any(seen.authorization for seen in hub.requests)


def test_where_the_hub_is_away_a_sentence_says_so() -> None:
    with pytest.raises(UserError, match="cannot be reached") as refused:
        find_models("de", KINDS, CLOSED)
    assert_warm(refused.value)


@pytest.mark.parametrize(("status", "words"), [(429, "asks for a pause"), (500, "in trouble")])
def test_a_refusal_is_told_in_words(hub: FakeHub, status: int, words: str) -> None:
    find(hub)  # so that it counts as reachable
    hub.status = status
    with pytest.raises(UserError, match=words) as refused:
        find(hub)
    assert_warm(refused.value)


def test_a_slow_hub_is_given_up(hub: FakeHub) -> None:
    find(hub)
    hub.delay = 1.5
    start = time.monotonic()
    with pytest.raises(UserError, match="too long"):
        find(hub, search_seconds=0.3)
    assert time.monotonic() - start < 1.2


def test_threads_that_a_hub_holds_up_count_until_they_end(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub whose answers trickle in: who searches again and again starts no more of them."""
    find(hub)
    held = threading.Event()

    def trickling(endpoint: str, language: str, kind: str, seconds: float) -> list[object]:
        held.wait(30)
        return []

    monkeypatch.setattr(search, "_ask", trickling)
    refused = []
    for _ in range(12):
        with pytest.raises(UserError) as given_up:
            find(hub, search_seconds=0.05)
        refused.append("Others are searching" in given_up.value.what)
    busy = [thread for thread in threading.enumerate() if thread.name.startswith("hub-search")]
    held.set()
    for thread in busy:
        thread.join(10)
    assert len(busy) == 3 * len(KINDS) and refused == [False] * 3 + [True] * 9
    assert find(hub) == [], "and then there is room again"
