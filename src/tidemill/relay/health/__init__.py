"""The health of channels: probes, keys that a service refuses, balances, what befell them, and whom to tell."""
