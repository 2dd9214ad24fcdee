"""Numbers as people say them: plain ones, bytes, lengths of time, moments, shares."""

import math
import time


def number(value: float) -> str:
    """As people write it, never with an exponent: "1,000,000", "2.5", "0.0000001"."""
    if not math.isfinite(value) or value == int(value):
        return f"{int(value):,}" if math.isfinite(value) else str(value)
    return f"{value:,.12f}".rstrip("0").rstrip(".")


def file_size(count: int) -> str:
    """Bytes on a disk or of a download, in powers of 1000 as the Hub counts: "94 MB", "1.3 GB", "50 GB"."""
    if count < 10**6:
        return f"{max(1, round(count / 1000)) if count else 0} kB"
    if count < 0.9995 * 10**9:
        return f"{round(count / 10**6)} MB"
    return f"{count / 10**9:.1f}".removesuffix(".0") + " GB"


def memory_size(count: int) -> str:
    """Bytes of memory, in powers of 1024 as it is sold: "300 MB", "6.5 GB", "24 GB"."""
    if count < 2**20:
        return f"{max(1, round(count / 2**10)) if count else 0} kB"
    if count < 0.9995 * 2**30:
        return f"{round(count / 2**20)} MB"
    size = count / 2**30
    return f"{size:.1f}".removesuffix(".0") + " GB" if size < 9.95 else f"{size:.0f} GB"


def moment(seconds: float) -> str:
    """Seconds since the epoch as a day and time of this computer's zone: "26 Nov, 18:07". Without the year: lists of
    runs and models say it of the last weeks."""
    local = time.localtime(seconds)
    return f"{local.tm_mday} {time.strftime('%b, %H:%M', local)}"


def duration(seconds: float) -> str:
    """A length of time: "40 s", "2 min 40 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def sound_length(seconds: float) -> str:
    """The length of a sound: tenths below a minute, then as `duration`; minutes alone from ten minutes on."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return duration(seconds) if seconds < 600 else f"{round(seconds / 60)} min"


def clock(seconds: float) -> str:
    """A running clock: "0:07", "12:30", "1:02:03"."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def about(seconds: float) -> str:
    """An estimate, no more exact than it is: "under a minute", "about 3 minutes", "about 2 hours"."""
    minutes = seconds / 60
    if minutes < 0.75:
        return "under a minute"
    if minutes < 55:
        rounded = round(minutes) if minutes < 12 else 5 * round(minutes / 5)
        return "about a minute" if rounded == 1 else f"about {rounded} minutes"
    hours = minutes / 60
    if hours < 1.5:
        return "about an hour"
    if hours < 20:
        return f"about {round(hours)} hours"
    days = round(hours / 24)
    return "about a day" if days <= 1 else f"about {days} days"


def one_in(rate: float, what: str) -> str:
    """A rate of errors as people say it: "about 1 letter in 8", "about 4 letters in 10"."""
    if rate * 3 > 1:
        return f"about {min(10, round(10 * rate))} {what}s in 10"
    return f"about 1 {what} in {min(1000, round(1 / max(rate, 1e-3)))}"


def percent(fraction: float) -> str:
    """A rate as people say it: "38 %"; tenths only below 1 %."""
    if 0 < fraction < 0.0095:
        return f"{max(fraction, 0.001) * 100:.1f} %"
    return f"{round(fraction * 100)} %"
