"""One address for every model: channels, the choice among them, and the way of a call through one."""
