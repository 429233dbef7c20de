"""What Coffer does: operations (verbs) and reads (nouns). Nothing here knows of HTTP or of Stripe."""
