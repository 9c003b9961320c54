from credits.models.catalogue import (
    CatchUp,
    Cost,
    CostKind,
    Every,
    GrantRule,
    Pack,
    PackPrice,
)

__all__ = ["CatchUp", "Cost", "CostKind", "Every", "GrantRule", "Pack", "PackPrice"]
