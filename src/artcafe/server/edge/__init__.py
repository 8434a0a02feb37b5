"""The HTTP edge: limits and deadlines for requests."""
