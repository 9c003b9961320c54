from billing.admin.customers import CustomerAdmin

__all__ = ["CustomerAdmin"]
