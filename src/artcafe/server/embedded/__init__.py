"""What `artcafe up` runs beside the server itself: a nats-server of its own."""
