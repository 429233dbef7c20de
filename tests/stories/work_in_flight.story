# Holds: set aside, captured in part, released, timed out, and outliving their lot.
2026-05-01T10:00 grant 100 bonus expires 1h
2026-05-01T10:00 grant 100 purchase
2026-05-01T10:30 hold 60 as job for 2h
2026-05-01T10:30 balance 200 held 60
2026-05-01T10:31 spend 141 refused insufficient_credits
2026-05-01T11:00 balance 160 held 60    # 40 expired, the held 60 are good for the job
2026-05-01T11:30 capture job 50 as done
2026-05-01T11:30 balance 100 held 0     # the rest expired the moment its hold ended
2026-05-01T11:31 capture job 1 refused hold_not_open
2026-05-01T11:32 hold 30 as late for 10m
2026-05-01T11:41 balance 100 held 30
2026-05-01T11:42 balance 100 held 0
2026-05-01T11:42 capture late refused hold_not_open
2026-05-01T12:00 refund done 20         # its lot is dead and had no time left: a day at least
2026-05-02T11:59 balance 120
2026-05-02T12:00 balance 100
