"""What the core needs from outside. Each port is small and says what it promises.

Every method raises ArtcafeError(unavailable) when the thing behind it is away; after a write that
failed so, the outcome is unknown. Tenant data is always asked for tenant first.
"""
