"""Logs of the service."""
