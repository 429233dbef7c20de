"""The billing page."""
