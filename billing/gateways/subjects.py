"""What notifications of gateways are about, in our words: each gateway translates its own."""

from enum import StrEnum


class Subject(StrEnum):
    """What a letter is about."""

    PAYMENT = "payment"
    MONEY_BACK = "money_back"  # of a payment; by which refund, it does not say
    REFUND = "refund"
    REVERSAL = "reversal"  # taken back by a bank or by the gateway itself: nobody has refunded it
    PAYOUT = "payout"
    DISPUTE = "dispute"
    SUBSCRIPTION = "subscription"
    TRIAL_END = "trial_end"  # it is near
    INVOICE = "invoice"
    SETUP = "setup"  # of a method that is to be saved
    METHOD = "method"  # that hangs on a customer now
    OTHER = "other"
