"""The embedded nats-server of `artcafe up`."""
