"""The dialects that clients speak: how their frames are read, and how messages are encoded for them."""
