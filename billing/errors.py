"""What billing refuses."""


class BillingError(Exception):
    """The root of this app's refusals."""
