"""`/v1/responses`: what clients send, what they get, and what is kept for them."""
