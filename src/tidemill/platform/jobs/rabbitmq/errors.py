"""Why the broker could not be had. These stay between the transport and its link; what they say reaches the console."""


class BrokerAway(Exception):
    """The server cannot be reached, or was lost; trying again may help."""


class BrokerMisused(BrokerAway):
    """The server answers and refuses; somebody has to act, and the sentence says how."""
