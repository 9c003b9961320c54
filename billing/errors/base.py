"""The root of what billing refuses."""


class BillingError(Exception):
    """The root of this app's refusals."""


class NotYours(BillingError):
    """There is no such payment or refund, or it belongs to somebody else: both look the same."""
