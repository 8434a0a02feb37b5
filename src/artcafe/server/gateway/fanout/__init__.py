"""Fan-out: the subscriptions of a tenant on this process, and the delivery of messages to them."""
