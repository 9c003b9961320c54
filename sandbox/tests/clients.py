"""Small callers of the gateways, written from their documentation; they know nothing of the sandbox's inside."""

import uuid
from typing import Any

import requests

from sandbox.testing import Sandbox


class PayPal:
    def __init__(self, sandbox: Sandbox) -> None:
        self.base = sandbox.base("paypal")
        self.session = requests.Session()
        token = self.session.post(
            f"{self.base}/v1/oauth2/token",
            auth=("sandbox-client", "sandbox-secret"),
            data={"grant_type": "client_credentials"},
            timeout=5,
        )
        self.session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        self.session.headers["Prefer"] = "return=representation"

    def post(self, path: str, content: Any, *, key: str = "", **headers: str) -> requests.Response:
        headers |= {"PayPal-Request-Id": key or str(uuid.uuid4())}
        return self.session.post(self.base + path, json=content, headers=headers, timeout=5)

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.base + path, timeout=5)

    def order(self, value: str = "25.00", currency: str = "EUR", *, key: str = "", **unit: Any) -> requests.Response:
        amount = {"currency_code": currency, "value": value}
        context = {"return_url": "http://127.0.0.1/r", "cancel_url": "http://127.0.0.1/c", "brand_name": "Shop"}
        content = {
            "intent": "CAPTURE",
            "purchase_units": [{"reference_id": "pay_1", "custom_id": "pay_1", "amount": amount, **unit}],
            "payment_source": {"paypal": {"experience_context": context}},
        }
        return self.post("/v2/checkout/orders", content, key=key)

    def capture(self, order_id: str, *, key: str = "", **headers: str) -> requests.Response:
        return self.post(f"/v2/checkout/orders/{order_id}/capture", {}, key=key, **headers)

    def paid(self, sandbox: Sandbox, **order: Any) -> dict[str, Any]:
        """A captured order; the answer is its capture."""
        made = self.order(**order).json()
        sandbox.play(redirect(made["links"][0]["href"]))
        captured: dict[str, Any] = self.capture(made["id"]).json()["purchase_units"][0]["payments"]["captures"][0]
        return captured

    def payout(self, receiver: str, *, batch: str = "po_1", value: str = "40.00") -> requests.Response:
        item = {
            "recipient_type": "EMAIL",
            "amount": {"currency": "EUR", "value": value},
            "receiver": receiver,
            "sender_item_id": batch,
        }
        header = {"sender_batch_id": batch, "email_subject": "You have a payment"}
        return self.post("/v1/payments/payouts", {"sender_batch_header": header, "items": [item]})


class CinetPay:
    account = {"apikey": "sandbox-apikey", "site_id": "123456"}

    def __init__(self, sandbox: Sandbox, notify_url: str = "http://127.0.0.1:9/hook") -> None:
        self.base = sandbox.base("cinetpay")
        self.notify_url = notify_url
        self.session = requests.Session()

    def pay(self, reference: str = "pay1", amount: Any = 5000, currency: str = "XOF", **more: Any) -> dict[str, Any]:
        content = {
            **self.account,
            "transaction_id": reference,
            "amount": amount,
            "currency": currency,
            "description": "Order 77",
            "notify_url": self.notify_url,
            "return_url": "http://127.0.0.1/return",
            "channels": "ALL",
            "metadata": "meta",
            **more,
        }
        answer: dict[str, Any] = self.session.post(f"{self.base}/v2/payment", json=content, timeout=5).json()
        return answer

    def check(self, reference: str = "pay1") -> dict[str, Any]:
        content = {**self.account, "transaction_id": reference}
        answer: dict[str, Any] = self.session.post(f"{self.base}/v2/payment/check", json=content, timeout=5).json()
        return answer

    def log_in(self) -> str:
        form = {"apikey": "sandbox-apikey", "password": "sandbox-transfer-password"}
        token: str = self.session.post(f"{self.base}/v1/auth/login", data=form, timeout=5).json()["data"]["token"]
        return token

    def transfers(self, method: str, path: str, token: str, data: str = "", **query: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.session.request(
            method,
            f"{self.base}/v1/transfer/{path}",
            params={"token": token, "lang": "fr", **query},
            data={"data": data} if data else None,
            timeout=5,
        ).json()
        return answer


class Mtn:
    keys = {"collection": "sandbox-collection-key", "disbursement": "sandbox-disbursement-key"}

    def __init__(self, sandbox: Sandbox, callback_url: str = "", environment: str = "sandbox") -> None:
        self.base = sandbox.base("mtn_momo")
        self.callback_url = callback_url
        self.environment = environment
        self.session = requests.Session()
        self.tokens = {product: self.token(product) for product in self.keys}

    def token(self, product: str) -> str:
        reply = self.session.post(
            f"{self.base}/{product}/token/",
            auth=("5b2c2a6e-7a1e-4a53-9b0e-3b1c6f0d8a11", "sandbox-api-key"),
            headers={"Ocp-Apim-Subscription-Key": self.keys[product]},
            timeout=5,
        )
        token: str = reply.json()["access_token"]
        return token

    def call(self, method: str, product: str, path: str, *, reference: str = "", **more: Any) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {self.tokens[product]}",
            "Ocp-Apim-Subscription-Key": self.keys[product],
            "X-Target-Environment": self.environment,
        }
        if reference:
            headers["X-Reference-Id"] = reference
        if self.callback_url and method == "POST":
            headers["X-Callback-Url"] = self.callback_url
        return self.session.request(method, f"{self.base}/{product}/{path}", headers=headers, timeout=5, **more)

    def ask(self, phone: str, *, reference: str = "", amount: str = "50", currency: str = "EUR") -> tuple[str, int]:
        reference = reference or str(uuid.uuid4())
        content = {
            "amount": amount,
            "currency": currency,
            "externalId": "pay_1",
            "payer": {"partyIdType": "MSISDN", "partyId": phone},
            "payerMessage": "Order 77",
            "payeeNote": "Order 77",
        }
        reply = self.call("POST", "collection", "v1_0/requesttopay", reference=reference, json=content)
        return reference, reply.status_code

    def status(self, reference: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.call("GET", "collection", f"v1_0/requesttopay/{reference}").json()
        return answer

    def send(self, kind: str, **content: Any) -> str:
        reference = str(uuid.uuid4())
        content = {"amount": "50", "currency": "EUR", "externalId": "po_1", **content}
        reply = self.call("POST", "disbursement", f"v1_0/{kind}", reference=reference, json=content)
        assert reply.status_code == 202, reply.text
        return reference

    def sent(self, kind: str, reference: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.call("GET", "disbursement", f"v1_0/{kind}/{reference}").json()
        return answer


class Orange:
    def __init__(self, sandbox: Sandbox, notif_url: str = "http://127.0.0.1:9/hook") -> None:
        self.base = sandbox.base("orange_money")
        self.notif_url = notif_url
        self.session = requests.Session()
        reply = self.session.post(
            f"{self.base}/oauth/v3/token",
            auth=("sandbox-client", "sandbox-secret"),
            data={"grant_type": "client_credentials"},
            timeout=5,
        )
        self.session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def pay(self, order_id: str = "pay1", amount: int = 5000, country: str = "dev", **more: Any) -> requests.Response:
        content = {
            "merchant_key": "sandbox-merchant-key",
            "currency": "OUV",
            "order_id": order_id,
            "amount": amount,
            "return_url": "http://127.0.0.1/return",
            "cancel_url": "http://127.0.0.1/cancel",
            "notif_url": self.notif_url,
            "lang": "fr",
            "reference": "Shop",
            **more,
        }
        return self.session.post(f"{self.base}/orange-money-webpay/{country}/v1/webpayment", json=content, timeout=5)

    def status(self, made: dict[str, Any], order_id: str = "pay1", amount: int = 5000) -> requests.Response:
        content = {"order_id": order_id, "amount": amount, "pay_token": made["pay_token"]}
        return self.session.post(f"{self.base}/orange-money-webpay/dev/v1/transactionstatus", json=content, timeout=5)


def redirect(url: str) -> dict[str, Any]:
    return {"type": "redirect", "url": url}


def press(url: str, act: str, **fields: str) -> requests.Response:
    """Press a button of a hosted page, without going where it leads."""
    return requests.post(url, data={"act": act, **fields}, allow_redirects=False, timeout=5)


def approved(paypal: PayPal, sandbox: Sandbox, act: str = "pay", **order: Any) -> str:
    """An order on whose page its buyer has acted."""
    made = paypal.order(**order).json()
    sandbox.play(redirect(made["links"][0]["href"]), act)
    return str(made["id"])
