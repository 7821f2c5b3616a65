"""vLLM's own routes: what clients send, and what they get."""
