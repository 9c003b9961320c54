"""Sellers and what they earned, commissions, and withdrawals."""

from wallets.models.rules import CommissionRule, CommissionTier, SaleType, SellerKind, WhenWithdrawn
from wallets.models.sales import Sale, TakeBack, TakeBackKind, TakeBackState
from wallets.models.wallets import Adjustment, AdjustmentStatus, Seller, Wallet
from wallets.models.withdrawals import (
    OPEN,
    Destination,
    DestinationKind,
    Withdrawal,
    WithdrawalStatus,
    WithdrawalStep,
)

__all__ = [
    "OPEN",
    "Adjustment",
    "AdjustmentStatus",
    "CommissionRule",
    "CommissionTier",
    "Destination",
    "DestinationKind",
    "Sale",
    "SaleType",
    "Seller",
    "SellerKind",
    "TakeBack",
    "TakeBackKind",
    "TakeBackState",
    "Wallet",
    "WhenWithdrawn",
    "Withdrawal",
    "WithdrawalStatus",
    "WithdrawalStep",
]
