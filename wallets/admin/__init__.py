"""The wallets as operators see them: sellers and what they have, sales, rules, and withdrawals to approve."""

from wallets.admin import rules, sales, wallets, withdrawals

__all__ = ["rules", "sales", "wallets", "withdrawals"]
