"""Measurements of speed, as ratios of things measured in one run."""
