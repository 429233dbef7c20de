"""What other programs are told: events, in an order that never changes, sent to whoever wants them."""
