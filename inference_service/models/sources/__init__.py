"""Where models come from: one module a kind of source, and the pull that all of them share."""
