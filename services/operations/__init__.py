"""Running an instance: schema, backups, job runs, leases, the clock guard, readiness, pruning."""
