"""What every endpoint may refuse before any app's own rules are asked."""


class RestError(Exception):
    """The root of this app's refusals."""


class MalformedBody(RestError):
    """The body is not the one JSON document that we can read without guessing."""


class BodyTooLarge(RestError):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes


class InvalidCursor(RestError):
    def __init__(self) -> None:
        super().__init__("The cursor is not one of ours. Start again without it, or follow next and previous as given.")


class IdempotencyKeyMissing(RestError):
    def __init__(self) -> None:
        super().__init__("Send an Idempotency-Key header, so that a retry cannot do this twice.")


class IdempotencyKeyInvalid(RestError):
    def __init__(self) -> None:
        super().__init__("An Idempotency-Key is 1 to 255 visible ASCII characters.")


class IdempotencyKeyReused(RestError):
    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request. Take a new key.")


class IdempotencyKeyInProgress(RestError):
    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is still running. Try again in a moment.")
