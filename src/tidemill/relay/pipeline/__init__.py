"""The way of one call: in through the limits, out to a channel, back as a stream, settled whatever happens."""
