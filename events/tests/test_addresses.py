"""Deliveries never go where the installation itself lives: not by address, not by name, not by a name that changes."""

import socket
from typing import Any

import pytest

from events import addresses, endpoints, posting
from events.errors import AddressRefused, TooManyEndpoints
from events.models import Endpoint
from events.tests.receivers import Receiver

FORBIDDEN = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0",  # noqa: S104 - refused, not listened at
    "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
    "not an address",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_address_that_is_not_public_is_forbidden(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_address_is_allowed(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/",
        "http://127.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1:8080/", "https://192.168.0.1/",
    ],
)  # fmt: skip
def test_endpoint_in_our_own_network_is_refused_when_it_is_saved(db, url: str) -> None:
    with pytest.raises(AddressRefused):
        endpoints.add(url=url, by="shop")
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "", "shop.example.com", "ftp://shop.example.com/", "file:///etc/passwd", "https://", "https:///hooks",
        "https://user:secret@shop.example.com/", "https://shop.example.com/#part", "https://shop.example.com:99999/",
        "https://shop.example.com/a b", "https://shop.example.com/\r\nX-Evil: 1", "https://boutique.été/",
        "https://shop.example.com\\@127.0.0.1/", "javascript:alert(1)", "https://[::1/", "https://x/" + "a" * 2_000,
    ],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        addresses.target(url)


def test_plain_http_is_refused_unless_allowed(settings) -> None:
    settings.WEBHOOKS_ALLOW_HTTP = False
    with pytest.raises(AddressRefused, match="https"):
        addresses.target("http://shop.example.com/")


def answering(*found: str) -> Any:
    """A resolver to which this name means these addresses; DNS is not ours to test."""
    usual = socket.getaddrinfo

    def resolve(host: str, port: int, *rest: Any, **options: Any) -> Any:
        if host != "shop.example.com":
            return usual(host, port, *rest, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    return resolve


def test_one_forbidden_address_among_several_is_enough(monkeypatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("93.184.216.34", "10.0.0.1"))
    with pytest.raises(AddressRefused, match="public"):
        addresses.check("https://shop.example.com/")


def test_name_that_changes_after_saving_is_refused_when_it_is_sent(monkeypatch, receiver: Receiver, settings) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES = False
    monkeypatch.setattr(socket, "getaddrinfo", answering("93.184.216.34"))
    url = receiver.url.replace("127.0.0.1", "shop.example.com")
    addresses.check(url)
    monkeypatch.setattr(socket, "getaddrinfo", answering("127.0.0.1"))
    answer = posting.post(url, {}, b"{}")
    assert (answer.status, answer.error) == (None, "This server is not on the public internet.")
    assert receiver.requests == []


def test_line_goes_to_the_address_that_was_judged_and_asks_no_second_time(monkeypatch, receiver: Receiver) -> None:
    asked: list[str] = []
    resolve = answering("127.0.0.1")

    def once(host: str, port: int, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return resolve(host, port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    answer = posting.post(receiver.url.replace("127.0.0.1", "shop.example.com"), {}, b"{}")
    assert answer.status == 200
    assert [host for host in asked if host == "shop.example.com"] == ["shop.example.com"]
    [(headers, _body)] = receiver.requests
    assert headers["host"].startswith("shop.example.com:")


def test_endpoints_are_few(db, settings, monkeypatch) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES = True
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 1)
    endpoints.add(url="http://127.0.0.1/", by="shop")
    with pytest.raises(TooManyEndpoints):
        endpoints.add(url="http://127.0.0.1/", by="shop")
    assert Endpoint.objects.count() == 1
