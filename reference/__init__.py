"""What a routing kernel must compute: the golden router, and how far rounding may move it."""

from reference.bounds import (
    group_error,
    row_sum_error,
    scale_rounding,
    score_error,
    selection_error,
    selection_error_ceiling,
    weight_error,
)
from reference.formats import FLOAT32, FORMATS, WeightFormat
from reference.formulas import U
from reference.models import MODELS, Model, find_model
from reference.profiles import PROFILES, Profile
from reference.router import Routing, route
from reference.spec import MINIMAX_M2_5, RoutingSpec

__all__ = [
    "FLOAT32",
    "FORMATS",
    "MINIMAX_M2_5",
    "MODELS",
    "PROFILES",
    "Model",
    "Profile",
    "Routing",
    "RoutingSpec",
    "U",
    "WeightFormat",
    "find_model",
    "group_error",
    "route",
    "row_sum_error",
    "scale_rounding",
    "score_error",
    "selection_error",
    "selection_error_ceiling",
    "weight_error",
]
