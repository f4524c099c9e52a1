"""The charger that the kernel's tests begin with; each says what is different about its own."""

from cext.rows import ChargerRow

S = 1_000_000_000
PLAIN = ChargerRow(
    circuit=0,
    phases=(0, 1, 2),
    min_ma=6000,
    max_ma=32_000,
    step_ma=100,
    fallback_ma=6000,
    power_on_ma=32_000,
    tolerance_ppm=0,
    standby_ma=0,
    settle_ns=S,
    metered=True,
    error_ma=0,
    lag_ns=0,
    poll_ns=S,
    max_age_ns=3 * S,
)
