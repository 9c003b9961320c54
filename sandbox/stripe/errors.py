"""Stripe's refusals, in its own words and shapes."""

from typing import Any

DOCUMENTATION = "https://docs.stripe.com/error-codes/"


class StripeError(Exception):
    """What Stripe answers instead of an object."""

    def __init__(
        self, message: str, *, status: int = 400, kind: str = "invalid_request_error", code: str = "", **facts: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.facts = {name: value for name, value in facts.items() if value is not None}

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "type": self.kind, **self.facts}
        if self.code:
            error |= {"code": self.code, "doc_url": DOCUMENTATION + self.code.replace("_", "-")}
        return {"error": error}


class CardDeclined(StripeError):
    """402: the parameters are right, the bank said no."""

    def __init__(self, message: str, *, code: str, decline_code: str | None = None, **facts: Any) -> None:
        super().__init__(message, status=402, kind="card_error", code=code, decline_code=decline_code, **facts)

    @property
    def decline_code(self) -> str | None:
        return self.facts.get("decline_code")


def missing(kind: str, name: str, param: str = "id") -> StripeError:
    spoken = {"payment_method": "PaymentMethod", "payment_intent": "payment_intent"}.get(kind, kind)
    return StripeError(f"No such {spoken}: '{name}'", status=404, code="resource_missing", param=param)


def missing_inside(kind: str, name: str, param: str) -> StripeError:
    """The same for an id given as a parameter: a 400, as it is not the address that is wrong."""
    error = missing(kind, name, param)
    error.status = 400
    return error


def parameter_missing(param: str) -> StripeError:
    return StripeError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def parameter_invalid(param: str, message: str, code: str = "") -> StripeError:
    return StripeError(message, code=code, param=param)


def unauthorized(message: str) -> StripeError:
    return StripeError(message, status=401)
