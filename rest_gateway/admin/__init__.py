"""This server's own wire format of what changes models."""
