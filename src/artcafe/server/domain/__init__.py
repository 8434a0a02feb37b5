"""Facts and rules: records, identifiers, limits and who may do what. Pure."""
