from billing.admin.customers import CustomerAdmin
from billing.admin.gateways import GatewaySettingAdmin
from billing.admin.inbox import CaseAdmin, GatewayLetterAdmin
from billing.admin.payments import PaymentAdmin
from billing.admin.refunds import DisputeAdmin, RefundAdmin
from billing.admin.top_ups import TopUpAdmin

__all__ = [
    "CaseAdmin",
    "CustomerAdmin",
    "DisputeAdmin",
    "GatewayLetterAdmin",
    "GatewaySettingAdmin",
    "PaymentAdmin",
    "RefundAdmin",
    "TopUpAdmin",
]
