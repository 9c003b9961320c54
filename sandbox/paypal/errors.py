"""PayPal's error bodies."""

import secrets
from typing import Any

from sandbox.wire import Reply, json_reply

NAMES = {
    400: ("INVALID_REQUEST", "Request is not well-formed, syntactically incorrect, or violates schema."),
    422: (
        "UNPROCESSABLE_ENTITY",
        "The requested action could not be performed, semantically incorrect, or failed business validation.",
    ),
}
DOCUMENTATION = "https://developer.paypal.com/docs/api/orders/v2/#error-"


class Refusal(Exception):
    """The request is refused with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


def debug_id() -> str:
    return "f" + secrets.token_hex(6)


def reply(
    status: int,
    name: str,
    message: str,
    *,
    details: list[dict[str, Any]] | None = None,
    links: list[dict[str, str]] | None = None,
) -> Reply:
    identifier = debug_id()
    body: dict[str, Any] = {"name": name, "message": message, "debug_id": identifier}
    if details:
        body["details"] = details
    body["links"] = links or []
    return json_reply(body, status, {"Paypal-Debug-Id": identifier})


def invalid_request(issue: str, *, field: str, description: str) -> Reply:
    detail = {"field": field, "value": "", "location": "body", "issue": issue, "description": description}
    return reply(400, *NAMES[400], details=[detail], links=[_documentation(issue)])


def unprocessable(issue: str, description: str, *, field: str = "", redirect: str = "") -> Reply:
    detail = {"issue": issue, "description": description}
    if field:
        detail |= {"field": field, "location": "body"}
    links = [_documentation(issue)]
    if redirect:
        links.append({"href": redirect, "rel": "redirect", "method": "GET"})
    return reply(422, *NAMES[422], details=[detail], links=links)


def not_found() -> Reply:
    detail = {
        "issue": "INVALID_RESOURCE_ID",
        "description": "Specified resource ID does not exist. Please check the resource ID and try again.",
    }
    return reply(404, "RESOURCE_NOT_FOUND", "The specified resource does not exist.", details=[detail])


def not_authenticated() -> Reply:
    return reply(
        401,
        "AUTHENTICATION_FAILURE",
        "Authentication failed due to missing authorization header, or invalid authentication credentials.",
        links=[{"href": "https://developer.paypal.com/api/rest/authentication/", "rel": "information_link"}],
    )


def _documentation(issue: str) -> dict[str, str]:
    return {"href": DOCUMENTATION + issue, "rel": "information_link", "method": "GET"}
