"""The real Stripe SDK against our Stripe, with every call and answer held against the schema that the SDK carries."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from sandbox import stripe_schema
from sandbox.testing import Sandbox

KEY = "sk_test_" + "a" * 24
SECRET = "whsec_of_the_tests"


@pytest.fixture(scope="session")
def schema() -> Any:
    """The validator of the tools that stand beside the project, or None where they do not."""
    return stripe_schema.validator()


class Checked(stripe.RequestsClient):
    """Sends for real; remembers the headers of the last answer, and fails on whatever the schema does not know."""

    def __init__(self, schema: Any) -> None:
        super().__init__(timeout=10)
        self.schema = schema
        self.seen: set[str] = set()
        self.headers: Any = {}

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **more: Any) -> Any:
        content, status, self.headers = super().request(method, url, headers, post_data, **more)
        answered = json.loads(content)
        if self.schema is not None and "/v1/" in url:
            path = "/v1/" + url.partition("/v1/")[2]
            problems = self.schema.check(method, path, post_data)
            if status == 200:
                problems += self.schema.check_object(answered)
                self.seen.add(answered["object"])
            assert not problems, "\n".join(problems)
        return content, status, self.headers


@pytest.fixture
def http(schema: Any) -> Checked:
    return Checked(schema)


@pytest.fixture
def client(sandbox: Sandbox, http: Checked) -> stripe.StripeClient:
    return stripe.StripeClient(
        KEY, http_client=http, base_addresses={"api": sandbox.base("stripe")}, max_network_retries=0
    )


class Mailbox:
    """What our webhook address got: headers and bodies, in the order in which they came."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, bytes]] = []
        self.status = 200
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hooks/stripe/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def events(self) -> list[stripe.Event]:
        """Each letter opened as our own webhook does: with the signature checked."""
        return [stripe.Webhook.construct_event(body, signature, SECRET) for signature, body in self.letters]

    def types(self) -> list[str]:
        return [event.type for event in self.events()]

    def _handler(mailbox) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler's self is another
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                mailbox.letters.append((self.headers["Stripe-Signature"], body))
                self.send_response(mailbox.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silence."""

        return Handler


@pytest.fixture
def mailbox(sandbox: Sandbox) -> Iterator[Mailbox]:
    box = Mailbox()
    sandbox.configure("stripe", webhook_url=box.url, webhook_secret=SECRET)
    try:
        yield box
    finally:
        box.close()


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    return client.v1.customers.create({"email": "ada@sandbox.example", "name": "Ada"})


@pytest.fixture
def payer(client: stripe.StripeClient, customer: stripe.Customer) -> stripe.Customer:
    """A customer whose card is paid."""
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    return client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})


@pytest.fixture
def monthly(client: stripe.StripeClient) -> stripe.Price:
    product = client.v1.products.create({"name": "Small"})
    return client.v1.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": 2_000, "recurring": {"interval": "month"}}
    )


@pytest.fixture
def monthly_big(client: stripe.StripeClient) -> stripe.Price:
    product = client.v1.products.create({"name": "Big"})
    return client.v1.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": 5_000, "recurring": {"interval": "month"}}
    )
