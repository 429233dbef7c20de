# A payment is refunded in steps while its credits are spent, held and given away.
2026-06-01 buy 1,000 as order
2026-06-02 spend 300 as call
2026-06-02 hold 200 as job for 24h
2026-06-02 transfer 100 to partner
2026-06-02 balance 600 held 200
2026-06-02T01:00 repay order 250 1000   # a quarter of the money
2026-06-02T01:00 balance 350 held 200
2026-06-02T01:00 repay order 250 1000   # the same news again
2026-06-02T01:00 balance 350 held 200
2026-06-02T02:00 repay order 1000 1000  # all of it: 150 are left to take, 600 are owed
2026-06-02T02:00 balance 200 held 200
2026-06-02T03:00 release job            # what returns pays the debt first
2026-06-02T03:00 balance 0
2026-06-03 refund call                  # and so does this: 300 of the 400 still owed
2026-06-03 balance 0
2026-06-03 balance 100 of partner       # given away is spent
