from billing.admin.customers import CustomerAdmin
from billing.admin.gateways import GatewaySettingAdmin

__all__ = ["CustomerAdmin", "GatewaySettingAdmin"]
