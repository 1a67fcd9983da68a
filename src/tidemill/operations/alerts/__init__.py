"""Alerts: something is wrong that an administrator should know of; and the word that it is over."""
