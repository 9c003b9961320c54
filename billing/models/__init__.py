from billing.models.customers import Customer
from billing.models.gateways import BreakerState, GatewaySetting, GatewayTerms

__all__ = ["BreakerState", "Customer", "GatewaySetting", "GatewayTerms"]
