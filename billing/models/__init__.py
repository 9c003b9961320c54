from billing.models.customers import Customer

__all__ = ["Customer"]
