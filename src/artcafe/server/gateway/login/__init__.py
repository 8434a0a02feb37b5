"""Login of agents and humans, and the connections that are not logged in yet."""
