"""ArtCafe PubSub."""
