"""eccctl: the daemon's verbs on a command line, over its API."""
