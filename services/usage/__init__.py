"""What accounts use: meters, their limits, forecasts."""
