"""Use cases, one room per noun. Rooms share ports and domain, never each other."""
