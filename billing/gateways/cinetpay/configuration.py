"""What a CinetPay account is configured with; its generation decides which half of it counts."""

from dataclasses import dataclass
from datetime import timedelta

NAME = "cinetpay"
CHECKOUT_V2 = "checkout_v2"
V1 = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    generation: str  # checkout_v2 | v1
    base_url: str
    transfer_base_url: str
    v1_base_url: str
    api_key: str
    site_id: str
    secret_key: str
    transfer_password: str
    api_password: str
    currencies: tuple[str, ...] = ("XOF", "XAF")
    maximum: int = 2_500_000  # whole units
    payout_minimum: int = 500
    payout_maximum: int = 1_500_000
    link_lifetime: timedelta = timedelta(minutes=60)
    contact_email: str = ""  # of buyers and receivers who have told none

    def missing(self) -> list[str]:
        if self.generation == V1:
            wanted = {
                "CINETPAY_V1_API_BASE": self.v1_base_url,
                "CINETPAY_API_KEY": self.api_key,
                "CINETPAY_API_PASSWORD": self.api_password,
            }
        elif self.generation == CHECKOUT_V2:
            wanted = {
                "CINETPAY_API_BASE": self.base_url,
                "CINETPAY_API_KEY": self.api_key,
                "CINETPAY_SITE_ID": self.site_id,
                "CINETPAY_SECRET_KEY": self.secret_key,
            }
        else:
            wanted = {"CINETPAY_API": ""}
        return [name for name, value in wanted.items() if not value]

    @property
    def pays_out(self) -> bool:
        return self.generation == V1 or bool(self.transfer_base_url and self.transfer_password)
