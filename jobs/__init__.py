"""Jobs: sweeps over what is due. A short file each; schedule.py is the one table, runner.py runs them."""
