"""Whatever goes wrong on the wire ends as one of three errors, and never as a success."""

import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from billing.gateways.errors import FailureCategory, GatewayError, Unavailable, Uncertain
from billing.gateways.http import Channel, Limits
from billing.tests.gateways import certificates, wire

LONG = Limits(connect_seconds=30.0, read_seconds=30.0, slow_read_seconds=30.0, reply_bytes=1_000)
# For those who are to give up; of everybody else a busy machine is no reason to.
SHORT = Limits(connect_seconds=0.2, read_seconds=0.3, slow_read_seconds=0.3, reply_bytes=1_000)
SLOW = (wire.read_and_wait, wire.drip)


def channel(url: str, limits: Limits = LONG) -> Channel:
    return Channel(gateway="toy", base_url=url, limits=limits)


def post(url: str, limits: Limits = LONG) -> None:
    channel(url, limits).call("POST", "/pay", moves=True, json={"amount": 5})


def get(url: str, limits: Limits = LONG) -> None:
    channel(url, limits).call("GET", "/pay", moves=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


# ---------------------------------------------------------------- nothing was sent


def test_refused_connection_surely_moved_nothing() -> None:
    with pytest.raises(Unavailable) as raised:
        post(f"http://127.0.0.1:{free_port()}")
    assert raised.value.code == "no_connection"
    assert raised.value.category is FailureCategory.PROVIDER_DOWN


def test_unknown_host_surely_moved_nothing() -> None:
    with pytest.raises(Unavailable, match="before anything was sent"):
        post("http://gateway.invalid")


def test_host_that_does_not_pick_up_surely_moved_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:  # the queue is full before the call comes
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        try:
            with pytest.raises(Unavailable) as raised:
                post(f"http://127.0.0.1:{server.getsockname()[1]}", SHORT)
        finally:
            for each in waiting:
                each.close()
    assert raised.value.code == "connect_timeout"


def test_address_that_is_none_surely_moved_nothing() -> None:
    with pytest.raises(Unavailable):
        post("nonsense")


def test_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    stranger = certificates.made("gateway.example", address="127.0.0.1")
    (tmp_path / "key.pem").write_bytes(stranger.key_pem)
    (tmp_path / "certificate.pem").write_bytes(stranger.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    heard: list[bytes] = []

    def shake_hands(client: socket.socket) -> None:
        try:
            with context.wrap_socket(client, server_side=True) as secure:
                heard.append(secure.recv(1_000))
        except (ssl.SSLError, OSError):
            return

    with wire.listening(shake_hands) as server, pytest.raises(Unavailable) as raised:
        post(server.url.replace("http:", "https:"))
    assert raised.value.code == "tls"
    assert heard == []


@pytest.fixture(scope="module")
def vouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's identity for loopback, and who vouches for it."""
    folder = tmp_path_factory.mktemp("identity")
    authority = certificates.made("authority.example", is_authority=True)
    server = certificates.made("gateway.example", by=authority, address="127.0.0.1")
    (folder / "authority.pem").write_bytes(authority.certificate_pem)
    (folder / "key.pem").write_bytes(server.key_pem)
    (folder / "certificate.pem").write_bytes(server.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context, folder / "authority.pem"


def over_tls(context: ssl.SSLContext, behaviour: wire.Behaviour) -> wire.Behaviour:
    def behave(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secure:
            behaviour(secure)

    return behave


@pytest.mark.parametrize(("moves", "error"), [(True, Uncertain), (False, Unavailable)])
def test_whoever_lost_a_reply_over_tls_knows_as_little(
    vouched: tuple[ssl.SSLContext, Path], *, moves: bool, error: type[GatewayError]
) -> None:
    """The connections of every real gateway are of a class of their own, which must say as well that it has sent."""
    context, authority = vouched
    with wire.listening(over_tls(context, wire.answer()), over_tls(context, wire.read_and_hang_up)) as server:
        ours = channel(server.url.replace("http:", "https:"))
        ours._session.verify = str(authority)
        assert ours.call("POST", "/pay", moves=moves, json={"amount": 5}).status == 200
        with pytest.raises(error) as raised:
            ours.call("POST", "/pay", moves=moves, json={"amount": 5})
    assert (type(raised.value), raised.value.code) == (error, "connection_lost")
    assert [each.endswith(b'{"amount": 5}') for each in server.received] == [True, True]


# ---------------------------------------------------------------- something was sent


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (wire.hang_up, "connection_lost"),
        (wire.read_and_hang_up, "connection_lost"),
        (wire.answer_half, "connection_lost"),
        (wire.read_and_wait, "read_timeout"),
        (wire.drip, "read_timeout"),
        (wire.answer(body=b"x" * 1_001), "reply_too_long"),
        (wire.answer("500 Internal Server Error", b"<html>"), "500"),
        (wire.answer("503 Service Unavailable"), "503"),
    ],
)
def test_whoever_lost_the_reply_to_an_order_does_not_know(behaviour: wire.Behaviour, code: str) -> None:
    with wire.listening(behaviour) as server, pytest.raises(Uncertain) as raised:
        post(server.url, replace(SHORT, connect_seconds=30.0) if behaviour in SLOW else LONG)
    assert raised.value.code == code
    assert raised.value.gateway == "toy"


@pytest.mark.parametrize(
    "behaviour",
    [wire.hang_up, wire.read_and_hang_up, wire.answer_half, wire.read_and_wait, wire.answer("502 Bad Gateway")],
)
def test_whoever_lost_the_answer_to_a_question_may_ask_again(behaviour: wire.Behaviour) -> None:
    with wire.listening(behaviour) as server, pytest.raises(Unavailable):
        get(server.url, replace(SHORT, connect_seconds=30.0) if behaviour in SLOW else LONG)


def test_too_many_requests_surely_moved_nothing_and_says_when_to_come_back() -> None:
    busy = wire.answer("429 Too Many Requests", Retry_After="7")
    with wire.listening(busy) as server, pytest.raises(Unavailable) as raised:
        post(server.url)
    assert raised.value.retry_after_seconds == 7


@pytest.mark.parametrize(
    "body", [b"<html>Request Rejected</html>", b"", b"[]", b"\xff", b'{"amount": NaN}', b"[" * 900]
)
def test_reply_that_does_not_parse_is_no_answer(body: bytes) -> None:
    with wire.listening(wire.answer(body=body, Paypal_Debug_Id="f35")) as server:
        reply = channel(server.url).call("POST", "/pay", moves=True)
    with pytest.raises(Uncertain) as raised:
        reply.fields()
    assert raised.value.code == "unreadable"
    assert raised.value.trace == "f35"
    assert reply.fields_or_none() == {}


def test_numbers_of_a_reply_stay_exact() -> None:
    with wire.listening(wire.answer(body=b'{"amount": 0.1}')) as server:
        fields = channel(server.url).call("GET", "/pay", moves=False).fields()
    assert str(fields["amount"]) == "0.1"


# ---------------------------------------------------------------- what a call is like


def test_redirects_are_not_followed() -> None:
    with wire.listening(wire.answer("302 Found", Location="/elsewhere")) as server:
        reply = channel(server.url).call("POST", "/pay", moves=True)
    assert reply.status == 302
    assert len(server.received) == 1


def test_nothing_is_repeated() -> None:
    with wire.listening(wire.read_and_hang_up) as server, pytest.raises(GatewayError):
        post(server.url)
    assert len(server.received) == 1


def test_cookies_and_netrc_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with wire.listening(wire.answer(Set_Cookie="session=1")) as server:
        ours = channel(server.url)
        for _ in range(2):
            ours.call("GET", "/pay", moves=False, headers={"Authorization": "Bearer ours"})
    first, second = server.received
    assert b"Authorization: Bearer ours" in first
    assert b"Cookie" not in second


def test_call_leaves_one_line_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="billing.gateways.http")
    with wire.listening(wire.answer()) as server:
        channel(server.url).call(
            "POST",
            "/accounts/237670000001/active",
            moves=True,
            query={"token": "eyJsecret"},
            headers={"Authorization": "Bearer hidden"},
            login=None,
        )
    [line] = [record for record in caplog.records if record.message == "gateway.call"]
    assert line.path == "/accounts/***/active"  # type: ignore[attr-defined]
    assert line.status == 200  # type: ignore[attr-defined]
    assert not {"eyJsecret", "hidden", "237670000001"} & set(str(line.__dict__).split("'"))
