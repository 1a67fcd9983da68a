"""Round and join scores the same way everywhere: half up, two decimals, six parts model to four parts rule."""

from decimal import ROUND_HALF_UP, Decimal

MODEL_SHARE = Decimal("0.6")
RULE_SHARE = Decimal("0.4")
_CENT = Decimal("0.01")


def half_up(value: float) -> float:
    """Round to two decimals, halves upwards (8.125 becomes 8.13), as people expect of scores."""
    return float(Decimal(repr(value)).quantize(_CENT, ROUND_HALF_UP))


def whole(value: float) -> int:
    """Round to a whole number, halves upwards: how a rule score is stored in its integer column."""
    return int(Decimal(repr(value)).quantize(Decimal(1), ROUND_HALF_UP))


def final_score(model: float | None, rule: float) -> float:
    """Join both scores (0 to 10): 0.6 model + 0.4 rule; without a judge the rule score stands alone."""
    if model is None:
        return half_up(rule)
    joined = MODEL_SHARE * Decimal(repr(model)) + RULE_SHARE * Decimal(repr(rule))
    return float(joined.quantize(_CENT, ROUND_HALF_UP))
