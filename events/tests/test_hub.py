"""What a client is handed, and when it is sent to the outbox instead."""

import uuid
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from events.stream.hub import Client, Hub, TooManyStreams
from events.stream.journal import Row


def row(position: int, user_id: int = 1) -> Row:
    return Row(
        position=position,
        user_id=user_id,
        id=str(uuid.uuid4()),
        type="credits.granted",
        version=1,
        data={},
        created_at=datetime.now(UTC),
    )


@pytest.fixture
def hub() -> Hub:
    return Hub(queue=3, streams_per_user=2)


def listening(hub: Hub, user_id: int = 1) -> Client:
    client = Client(user_id=user_id, kind="sse", cursor=hub.seen)
    hub.add(client)
    client.is_behind = False
    return client


def positions(client: Client) -> list[int]:
    return [each.position for each in client.take_rows()]


def test_each_hears_of_their_own(hub: Hub) -> None:
    ann, ben = listening(hub), listening(hub, 2)
    assert hub.take([row(1), row(2, 2), row(3)])
    assert (positions(ann), positions(ben), hub.seen) == ([1, 3], [2], 3)


def test_what_was_taken_before_is_not_handed_out_again(hub: Hub) -> None:
    client = listening(hub)
    assert hub.take([row(1), row(2)])
    assert hub.take([row(1), row(2)])
    assert hub.take([row(2), row(3)])
    assert positions(client) == [1, 2, 3]


def test_what_does_not_follow_is_not_taken(hub: Hub) -> None:
    client = listening(hub)
    assert not hub.take([row(2)])
    assert (positions(client), hub.seen) == ([], 0)


def test_a_full_queue_sends_the_client_to_the_outbox(hub: Hub) -> None:
    client = listening(hub)
    assert hub.take([row(1), row(2), row(3)])
    assert not client.is_behind
    assert hub.take([row(4)])
    assert client.is_behind
    assert (len(client.rows), client.cursor) == (0, 0)


def test_who_is_behind_gets_nothing_into_the_queue(hub: Hub) -> None:
    client = listening(hub)
    client.fall_behind()
    assert hub.take([row(1)])
    assert positions(client) == []


def test_what_the_client_has_read_itself_is_left_out(hub: Hub) -> None:
    client = listening(hub)
    assert hub.take([row(1), row(2)])
    client.cursor = 1
    assert positions(client) == [2]


def test_after_a_gap_those_whom_it_concerns_and_those_who_came_meanwhile_read_the_outbox(hub: Hub) -> None:
    ann, ben, late = listening(hub), listening(hub, 2), listening(hub, 3)
    hub.skip_to(9, missed={1}, present={1, 2})
    assert (ann.is_behind, ben.is_behind, late.is_behind, hub.seen) == (True, False, True, 9)


def test_one_customer_has_so_many_streams_at_most(hub: Hub) -> None:
    first, _ = listening(hub), listening(hub)
    with pytest.raises(TooManyStreams):
        listening(hub)
    listening(hub, 2)
    hub.remove(first)
    listening(hub)


def test_the_latest_figure_replaces_the_one_before(hub: Hub) -> None:
    client = listening(hub)
    hub.tell(1, "credits.balance", {"available": 5}, key="CREDIT")
    hub.tell(1, "credits.balance", {"available": 4}, key="CREDIT")
    assert [message["data"]["available"] for message in client.take_passing()] == [4]


def test_the_same_figure_is_told_once(hub: Hub) -> None:
    client = listening(hub)
    for _ in range(2):
        hub.tell(1, "credits.balance", {"available": 5}, key="CREDIT")
        client.awake.clear()
    assert len(client.take_passing()) == 1
    hub.tell(1, "credits.balance", {"available": 5}, key="CREDIT")
    assert client.take_passing() == []


def test_everybody_is_told_that_the_stream_is_degraded_and_well_again(hub: Hub) -> None:
    client = listening(hub)
    hub.degrade(True)
    assert [message["data"] for message in client.take_passing()] == [{"status": "degraded"}]
    hub.degrade(True)
    assert client.take_passing() == []
    hub.degrade(False)
    assert [message["data"] for message in client.take_passing()] == [{"status": "ok"}]


def test_each_time_that_a_client_falls_behind_is_counted_once(hub: Hub) -> None:
    client, before = listening(hub), REGISTRY.get_sample_value("tirelire_stream_rereads_total")
    assert before is not None
    client.fall_behind()
    client.fall_behind()  # it has not read yet: that is one reading
    assert REGISTRY.get_sample_value("tirelire_stream_rereads_total") == before + 1
