"""AWS's edges under the real Lambda runtime client: batches, keys as S3 writes them, and one bad among good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowferry.delivery import rest
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.aws_cloud import AwsCloud
from support.cloud_shop import Shop, customers, packed

ODD_KEYS = ("plain/Kunden für + März 100%.csv.gz", "plain/a b&c=d?e#f%2B.csv.gz", "plain/'q\"uote'.csv.gz", "plain/日本.csv.gz")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> AwsCloud:
    return AwsCloud(tmp_path_factory.mktemp("aws"), ("load_export", "start_sync", "deliver_chunk"))


@pytest.fixture(scope="module")
def shop(cloud: AwsCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(cloud, tmp_path_factory.mktemp("shop"), ("plain", "mixed", "several", "bridged")) as shop:
        yield shop


def _load(cloud: AwsCloud, records: list[dict[str, Any]]) -> list[str]:
    """One call with these messages; the ids of those that failed."""
    result = cloud.invoke("load_export", {"Records": records})
    assert result.error is None, result.error
    return [failure["itemIdentifier"] for failure in result.payload["batchItemFailures"]]


def _take(cloud: AwsCloud, function: str = "load_export") -> list[dict[str, Any]]:
    """The messages that wait, out of their queue, by the key that they tell of."""
    records = cloud.messages(function)
    for record in records:
        cloud.remove(function, record)
    records = [record for record in records if "s3:TestEvent" not in record["body"]]  # S3 sends one when it is told of the queue
    return sorted(records, key=lambda record: json.loads(record["body"])["Records"][0]["s3"]["object"]["key"])


def test_keys_as_s3_writes_them(cloud: AwsCloud, shop: Shop) -> None:
    """Blanks, plus signs, per cents, quotes and letters of any script: each file of the batch is found and loaded."""
    for number, key in enumerate(ODD_KEYS):
        shop.drop(key, customers("plain", 2, first=10 * number))
    records = _take(cloud)
    assert len(records) == len(ODD_KEYS)
    assert "K%C3%BCnden" in records[0]["body"] or "f%C3%BCr" in json.dumps([record["body"] for record in records])
    assert _load(cloud, records) == []
    assert shop.query("SELECT COUNT(*) FROM crm.plain") == [(2 * len(ODD_KEYS),)]
    assert {row[0] for row in shop.query("SELECT DISTINCT file FROM rowferry.loads WHERE feed = 'plain'")} == set(ODD_KEYS)


def test_one_bad_among_good(cloud: AwsCloud, shop: Shop) -> None:
    """Of a batch with a file that nobody takes, junk and two good ones, the bad alone come back; the good are loaded."""
    shop.drop("mixed/1.csv.gz", customers("mixed", 2))
    cloud.exports.write("mixed/2.xml", b"<a/>")
    shop.drop("mixed/3.csv.gz", customers("mixed", 2, first=10))
    first, bad, third = _take(cloud)
    junk = {**first, "messageId": "junk", "body": "no json"}
    assert _load(cloud, [first, bad, junk, third]) == [bad["messageId"], "junk"]
    assert shop.query("SELECT COUNT(*) FROM crm.mixed") == [(4,)]


def test_a_batch_of_nothing_but_bad_ones(cloud: AwsCloud) -> None:
    """It is answered, message by message: an error would bring back what other batches have settled."""
    cloud.exports.write("mixed/a.xml", b"<a/>")
    [bad] = _take(cloud)
    assert _load(cloud, [bad, {**bad, "messageId": "again"}]) == [bad["messageId"], "again"]


def test_several_records_in_a_message(cloud: AwsCloud, shop: Shop) -> None:
    """A file that can't be loaded keeps none of its message waiting: all others are loaded before it is reported."""
    shop.drop("several/1.csv.gz", customers("several", 2))
    cloud.exports.write("several/0.xml", b"<a/>")
    shop.drop("several/2.csv.gz", customers("several", 2, first=10))
    records = _take(cloud)
    body = json.dumps({"Records": [part for record in records for part in json.loads(record["body"])["Records"]]})
    assert _load(cloud, [{**records[0], "body": body}]) == [records[0]["messageId"]]
    assert shop.query("SELECT COUNT(*) FROM crm.several") == [(4,)]


def test_messages_that_are_about_no_new_object(cloud: AwsCloud, shop: Shop) -> None:
    """S3's own test message, a deletion, another bucket's object and another prefix are done with at once."""
    shop.drop("several/gone.csv.gz", customers("several", 2, first=50))
    [record] = _take(cloud)
    told = json.loads(record["body"])
    removed = json.loads(record["body"])
    removed["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    told["Records"][0]["s3"]["bucket"]["name"] = "other"
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-01T00:00:00Z", "Bucket": "x", "RequestId": "1", "HostId": "1"}
    assert _load(cloud, [{**record, "messageId": str(n), "body": json.dumps(body)} for n, body in enumerate((test, removed, told))]) == []
    assert shop.query("SELECT COUNT(*) FROM rowferry.loads WHERE file LIKE '%gone%'") == [(0,)]


def test_events_by_eventbridge(cloud: AwsCloud, shop: Shop) -> None:
    """A bucket whose events go through EventBridge: keys stand there as they are."""
    key = "bridged/a+b c%20.csv.gz"
    cloud.exports.write(key, packed(customers("bridged", 2)))
    [record] = _take(cloud)
    bridged = {"detail-type": "Object Created", "detail": {"bucket": {"name": cloud.exports_bucket}, "object": {"key": key}}}
    assert _load(cloud, [{**record, "body": json.dumps(bridged)}]) == []
    assert shop.query("SELECT COUNT(*) FROM crm.bridged") == [(2,)]


def test_the_same_message_again(cloud: AwsCloud, shop: Shop) -> None:
    """SQS delivers at least once: the file is loaded once."""
    shop.drop("plain/again.csv.gz", customers("plain", 1, first=900))
    [record] = _take(cloud)
    for _ in range(2):
        assert _load(cloud, [record, {**record, "messageId": "copy"}]) == []
    assert shop.query("SELECT COUNT(*) FROM crm.plain WHERE id = 'plain-0900'") == [(1,)]


@pytest.mark.parametrize("said", [{}, {"sync": "nosuch"}, {"sync": None}])
def test_a_timer_with_a_wrong_name(cloud: AwsCloud, said: dict[str, Any]) -> None:
    """A schedule of a sync that is gone from the settings: an error whose sentence says which there are."""
    error = cloud.invoke("start_sync", said).error
    assert error is not None
    assert error["errorType"] == "UsageError"
    assert "there is no sync" in error["errorMessage"]


def _deliver(cloud: AwsCloud, record: dict[str, Any]) -> list[str]:
    """One call with a chunk's message; the ids of what failed."""
    result = cloud.invoke("deliver_chunk", {"Records": [record]})
    assert result.error is None, result.error
    return [failure["itemIdentifier"] for failure in result.payload["batchItemFailures"]]


def _chunks_message(cloud: AwsCloud) -> dict[str, Any]:
    """The one message that waits for `deliver_chunk`; it stays in the queue, and is handed over."""
    (record,) = [record for record in cloud.messages("deliver_chunk") if "s3:TestEvent" not in record["body"]]
    return record


def test_a_webhook_passes_a_backfill(cloud: AwsCloud, shop: Shop) -> None:
    """Its own message waits in the queue behind the backfill's: it leaves before it all the same, and its message finds it settled."""
    shop.backfill("lanes", 100)
    shop.hook("lanes")
    hook, backfill = _take(cloud, "deliver_chunk")
    before = len(shop.braze.log)
    assert _deliver(cloud, backfill) == []
    order = [b'"hook-' in call.body for call in shop.braze.log[before:]]
    assert order == [True, False, False]
    assert _deliver(cloud, hook) == []
    assert len(shop.braze.log) == before + 3


def test_a_chunk_that_fails_is_hidden_for_a_while(cloud: AwsCloud, shop: Shop) -> None:
    """The vendor is down: the message stays, and comes again after seconds, not after the queue's long time-out or at once."""
    _take(cloud, "deliver_chunk")
    shop.backfill("down", 50)
    shop.braze.faults.extend([Fault(response=Response(503, b"", {"retry-after": "0"}))] * 100)
    record, before = _chunks_message(cloud), datetime.now(UTC)
    assert _deliver(cloud, record) == [record["messageId"]]
    earliest, latest = before + timedelta(seconds=5), datetime.now(UTC) + timedelta(seconds=15)
    assert earliest <= cloud.hidden_until("deliver_chunk") <= latest  # the queue itself hides nothing here
    shop.braze.faults.clear()
    assert _deliver(cloud, record) == []
    cloud.remove("deliver_chunk", record)


def test_an_hourly_window_uses_up_no_tries(cloud: AwsCloud, shop: Shop) -> None:
    """The message of a chunk that is worth coming back for in an hour is done with; the sweep brings it back."""
    shop.backfill("window", 50)
    shop.braze.faults.append(Fault(response=Response(429, b"{}", {"x-ratelimit-retry-after": "3000"})))
    assert _deliver(cloud, _chunks_message(cloud)) == []
    assert shop.people("window") == {}
    assert rest.is_on(cloud.state, "braze", datetime.now(UTC) + timedelta(seconds=2900), None)
