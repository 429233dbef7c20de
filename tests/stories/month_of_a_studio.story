# A studio on the Professional plan: credits last 30 days, bought ones for ever.
2026-01-31 grant 1,000 subscription expires 30d
2026-01-31 buy 500 as package
2026-02-01 spend 200 as render
2026-02-01 balance 1,300 subscription-part 800
2026-02-10 spend 900
2026-02-10 balance 400 subscription-part 0
2026-02-28 refund render 150            # back into the subscription lot, which lasts two more days
2026-02-28 balance 550 subscription-part 150
2026-03-01T23:59 balance 550
2026-03-02 balance 400                  # 31 January plus 30 days is 2 March: gone at that instant
2026-03-02 refund render 51 refused conflict
2026-03-02 refund render 50             # into a dead lot: a new one for as long as was left, 29 days
2026-03-30 balance 450 subscription-part 50
2026-03-31 balance 400
