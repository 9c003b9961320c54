"""Refusals of telling others; config/problems.py says how each is answered."""


class EventsError(Exception):
    """The root of this app's refusals."""


class AddressRefused(EventsError):
    """An endpoint must not be there: not https, not public, not a name that anybody knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EndpointDisabled(EventsError):
    def __init__(self) -> None:
        super().__init__("This endpoint is disabled. Enable it first.")


class DeliveryUnderWay(EventsError):
    def __init__(self) -> None:
        super().__init__("This delivery is being sent right now.")


class MessageUnderWay(EventsError):
    def __init__(self) -> None:
        super().__init__("This e-mail is being sent right now.")


class TooManyEndpoints(EventsError):
    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} endpoints already; delete one first.")
        self.most = most
