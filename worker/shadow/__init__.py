"""A candidate release answers a share of live traffic too, and a person sees how it differs before it is activated."""
