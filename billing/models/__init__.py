from billing.models.cases import Case
from billing.models.customers import Customer
from billing.models.gateways import BreakerState, GatewaySetting, GatewayTerms
from billing.models.inbox import GatewayLetter
from billing.models.payments import Attempt, GatewayCustomer, Payment
from billing.models.refunds import Dispute, Refund
from billing.models.top_ups import SavedMethod, TopUp, TopUpCharge

__all__ = [
    "Attempt",
    "BreakerState",
    "Case",
    "Customer",
    "Dispute",
    "GatewayCustomer",
    "GatewayLetter",
    "GatewaySetting",
    "GatewayTerms",
    "Payment",
    "Refund",
    "SavedMethod",
    "TopUp",
    "TopUpCharge",
]
