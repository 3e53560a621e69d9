"""CoreDNS: what it has to do, what it needs, and what would spare it."""
