"""Words every part of tidemill shares; pure, no I/O."""
