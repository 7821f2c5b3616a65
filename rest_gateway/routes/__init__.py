"""The gateway's resources, one a file."""
