"""The demo: a few accounts with weeks of believable history, made by the product's own operations."""
