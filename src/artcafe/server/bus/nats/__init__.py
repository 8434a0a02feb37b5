"""The client protocol of NATS: connections, and the links that outlive them."""
