"""From a routing rule's row to the word that others use for it."""

from tidemill.platform.db import Row
from tidemill.relay.contracts import RuleView


def rule_view(row: Row) -> RuleView:
    """Show a row. A row's keys are no plain texts, so it cannot be converted as a mapping."""
    return RuleView(**{field: row[field] for field in RuleView.__struct_fields__})
