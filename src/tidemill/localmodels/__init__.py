"""GGUF catalogue, llama-server processes, leases and balancing."""
