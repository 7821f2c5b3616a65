"""What every request passes through: pure ASGI, one behaviour a file."""
