"""The composition root: picks engines, joins ports, mounts surfaces."""
