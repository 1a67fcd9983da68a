"""The protocols models speak, as bytes and structs; pure, no I/O."""
