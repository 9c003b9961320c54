import io
import json
import logging
import logging.config
import os
import sys
import threading
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

import pytest
import structlog
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import Client
from django.urls import resolve
from django.utils.log import log_response

from config import logs
from rest import requestid

CSRF = logging.getLogger("django.security.csrf")


@pytest.fixture
def written(monkeypatch):
    """What the real formatter writes, line by line, for the loggers of this test."""
    formatter = logging.config.DictConfigurator(logs.configuration(level="DEBUG", form="json")).configure_formatter(
        logs.configuration(level="DEBUG", form="json")["formatters"]["lines"]
    )
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(before)


def test_event_is_one_json_line_with_its_fields(written) -> None:
    logging.getLogger("billing.refunds").info("refund.sent", extra={"refund": "0197", "amount_minor": 2500})
    [line] = written()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "refund.sent", "level": "info", "logger": "billing.refunds", "refund": "0197", "amount_minor": 2500,
    }  # fmt: skip


def test_loggers_of_structlog_write_the_same_lines(written) -> None:
    structlog.get_logger("third.party").warning("thing.happened", token="abc", count=2)
    [line] = written()
    assert (line["event"], line["level"], line["token"], line["count"]) == ("thing.happened", "warning", "***", 2)


def test_request_id_is_on_every_line(written) -> None:
    token = requestid.bind("req-1")
    try:
        logging.getLogger("x").info("inside")
    finally:
        requestid.reset(token)
    logging.getLogger("x").info("outside")
    inside, outside = written()
    assert inside["request_id"] == "req-1"
    assert "request_id" not in outside


def test_secrets_are_masked_in_messages_arguments_and_exceptions(written) -> None:
    try:
        raise RuntimeError("bad credentials sk_live_1234567890 for +237690123456")
    except RuntimeError:
        logging.getLogger("x").exception("login of %s with password=%s failed", "237690123456", "hunter2")
    [line] = written()
    assert line["event"] == "login of ***56 with password=*** failed"
    assert "RuntimeError: bad credentials *** for ***56" in line["exception"]
    assert "hunter2" not in json.dumps(line)


def test_request_is_one_line(written, client: Client, db) -> None:
    client.get("/?token=secret")
    [line] = [line for line in written() if line["event"] == "request"]
    assert line["ms"] > 0
    assert {key: line[key] for key in ("method", "route", "status", "caller", "level")} == {
        "method": "GET", "route": "/", "status": 200, "caller": "anonymous", "level": "info",
    }  # fmt: skip
    assert "secret" not in json.dumps(line)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/wallet/eyJh.signed-link/", "/wallet/…"),
        ("/details//eyJh.signed-link/", "/details/…"),
        ("/invoice%2Feyjh.signed-link/", "/invoice/…"),
        ("/nothing", "/nothing"),
        ("/tl_0123456789abcdef", "/***"),
        ("/" + "x" * 500, "/" + "x" * logs.LONGEST_PATH),
    ],
)
def test_path_that_we_do_not_have_is_told_by_its_first_word(written, client: Client, path: str, told: str) -> None:
    client.get(path)
    [line] = [line for line in written() if line["event"] == "request"]
    assert (line["status"], line["route"], line["path"]) == (404, None, told)
    assert "signed-link" not in json.dumps(written())


def test_lines_of_django_name_routes_as_well(written, rf) -> None:
    request = rf.get("/wallet/eyJh.signed-link")
    for match, told in ((resolve("/wallet/eyJh.signed-link"), "/wallet/<str:token>"), (None, "/wallet/…")):
        request.resolver_match = match
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            broken, why = HttpResponse(status=500), sys.exc_info()[1]
            log_response("%s: %s", "Server Error", request.path, response=broken, request=request, exception=why)
        refused = HttpResponse(status=403)
        log_response("Forbidden (%s): %s", "no cookie", request.path, response=refused, request=request, logger=CSRF)
        fault, refusal = written()[-2:]
        assert (fault["event"], refusal["event"]) == (f"Server Error: {told}", f"Forbidden (no cookie): {told}")
        assert "RuntimeError: broken" in fault["exception"]
        assert "signed-link" not in json.dumps([fault, refusal])


def test_caller_is_named_by_number(written, admin_client: Client, admin_user) -> None:
    admin_client.get("/admin/")
    [line] = [line for line in written() if line["event"] == "request"]
    assert (line["caller"], line["user"]) == ("operator", admin_user.pk)


def test_caller_of_the_api_is_named_by_kind_and_identity(written, rf) -> None:
    def view(request):
        request.auth = SimpleNamespace(kind="service", identity="shop", name="Our shop tl_0123456789abcdef")
        request.user = AnonymousUser()
        return HttpResponse()

    logs.RequestLog(view)(rf.get("/api/v1/me"))
    [line] = written()
    assert (line["caller"], line["identity"], line["user"]) == ("service", "shop", None)


def test_probes_do_not_fill_the_log(written, client: Client) -> None:
    client.get("/health/live")
    [line] = [line for line in written() if line["event"] == "request"]
    assert line["level"] == "debug"


def test_line_survives_what_the_quick_writer_refuses(written) -> None:
    logging.getLogger("x").info("odd", extra={"number": 2**70, "id": UUID(int=7), "amount": Decimal("1.50")})
    [line] = written()
    assert line["number"] == 2**70
    assert (line["id"], line["amount"]) == (str(UUID(int=7)), "1.50")


def test_lines_of_many_threads_stay_whole() -> None:
    reading, writing = os.pipe()
    handler = logs.Console(os.fdopen(writing, "w"))
    handler.setFormatter(logs.JsonLines(processor=logs.as_json))

    def write(thread: int) -> None:
        for number in range(100):
            handler.handle(logging.makeLogRecord({"msg": "x" * 300, "thread_number": thread, "number": number}))

    threads = [threading.Thread(target=write, args=[number]) for number in range(8)]
    with os.fdopen(reading) as read:
        for thread in threads:
            thread.start()
        lines = [json.loads(next(read)) for _ in range(800)]
        for thread in threads:
            thread.join()
        handler.stream.close()
        assert read.read() == ""
    assert {(line["thread_number"], line["number"]) for line in lines} == {(t, n) for t in range(8) for n in range(100)}


def test_console_writes_where_celery_and_tests_have_put_a_stream_of_their_own() -> None:
    handler = logs.Console(stream := io.StringIO())
    handler.handle(logging.makeLogRecord({"msg": "here"}))
    assert stream.getvalue() == "here\n"


def test_what_cannot_be_written_is_told_and_stops_nobody(capsys) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        logs.Console(stream).handle(logging.makeLogRecord({"msg": "nobody reads"}))
    assert "BrokenPipeError" in capsys.readouterr().err


def test_pretty_lines_are_for_people() -> None:
    configured = logs.configuration(level="INFO", form="pretty")["formatters"]["lines"]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=configured["processors"], foreign_pre_chain=configured["foreign_pre_chain"]
    )
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "paid %s", ("password=hunter2",), None)
    text = formatter.format(record)
    assert "password=***" in text
    assert not text.startswith("{")
