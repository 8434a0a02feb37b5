"""The bus: NATS with one account per tenant, and the same in memory."""
