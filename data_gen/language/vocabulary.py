"""Values and frequencies: countries, mail domains, browsers.

Frequencies are rounded shares of a Western online shop. They make the data look and correlate like real orders; they
are not meant as statistics.
"""

COUNTRIES = {
    "US": 30, "GB": 12, "DE": 11, "FR": 8, "CA": 6, "IT": 5, "ES": 5, "NL": 4, "PL": 4, "AU": 3,
    "SE": 2, "CH": 2, "AT": 2, "BR": 2, "MX": 1, "IN": 1, "RO": 1, "NG": 0.6, "VN": 0.6, "RU": 0.8,
}  # fmt: skip

# Where traffic of anonymisation services and fraud rings usually originates.
PROXY_COUNTRIES = {
    "US": 20, "NL": 14, "DE": 10, "RO": 9, "RU": 9, "GB": 6, "FR": 5, "SE": 5, "PL": 4, "CH": 3, "NG": 5, "VN": 5,
    "BR": 4, "IN": 3, "CA": 2, "IT": 1, "ES": 1, "AT": 1, "AU": 1, "MX": 2,
}  # fmt: skip

CURRENCY = {
    "US": "USD", "GB": "GBP", "CA": "CAD", "PL": "PLN", "AU": "AUD", "SE": "SEK", "CH": "CHF", "BR": "BRL",
    "MX": "MXN", "IN": "INR", "RO": "RON", "NG": "USD", "VN": "VND", "RU": "USD",
}  # fmt: skip
"""Currency by billing country; the countries not named pay in EUR. All have exchange rates (checked by a test)."""

FREE_MAIL = {
    "gmail.com": 46, "yahoo.com": 11, "hotmail.com": 9, "outlook.com": 9, "icloud.com": 7, "aol.com": 2,
    "gmx.de": 3, "web.de": 3, "protonmail.com": 2, "live.com": 2, "mail.com": 1, "orange.fr": 2, "libero.it": 2,
    "wp.pl": 1,
}  # fmt: skip

PRIVATE_MAIL = {
    "comcast.net": 14, "verizon.net": 6, "btinternet.com": 8, "t-online.de": 10, "shaw.ca": 4, "ziggo.nl": 5,
    "bluewin.ch": 4, "telia.com": 3, "bigpond.com": 4, "northgate-logistics.com": 5, "halden-architects.com": 4,
    "meridian-dental.org": 4, "brightfield.edu": 7, "riverside-clinic.org": 4, "kestrel-software.io": 5,
    "stadtwerke-nord.de": 4, "atelier-moreau.fr": 3, "hofmann-bau.de": 3, "southbank-legal.co.uk": 3,
}  # fmt: skip

# All are on the list of the package disposable-email-domains (checked by a test), except the first two, which the
# workshop documents.
DISPOSABLE_MAIL = {
    "tempmail.net": 16, "throwaway.email": 5, "mailinator.com": 14, "guerrillamail.com": 9, "10minutemail.com": 9,
    "yopmail.com": 9, "temp-mail.org": 7, "trashmail.com": 6, "getnada.com": 5, "sharklasers.com": 5,
    "maildrop.cc": 4, "dispostable.com": 3, "fakeinbox.com": 3, "mailnesia.com": 3, "mintemail.com": 2,
    "tempail.com": 2, "emailondeck.com": 2, "mailcatch.com": 2,
}  # fmt: skip

_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"

DESKTOP_AGENTS = {
    f"{_WINDOWS} {_WEBKIT} Chrome/131.0.0.0 Safari/537.36": 46,
    f"{_WINDOWS} {_WEBKIT} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0": 16,
    f"{_MAC} {_WEBKIT} Chrome/131.0.0.0 Safari/537.36": 14,
    f"{_MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15": 13,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0": 9,
    f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36": 2,
}
MOBILE_AGENTS = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1": 48,
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36": 20,
    f"Mozilla/5.0 (Linux; Android 14; SM-S921B) {_WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36": 27,
    f"Mozilla/5.0 (Linux; Android 13; M2101K6G) {_WEBKIT} Chrome/130.0.0.0 Mobile Safari/537.36": 5,
}
TABLET_AGENTS = {
    "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1": 72,
    f"Mozilla/5.0 (Linux; Android 14; SM-X710) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36": 28,
}
BOT_AGENTS = {
    f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/131.0.0.0 Safari/537.36": 62,
    "python-requests/2.32.3": 20,
    "okhttp/4.12.0": 10,
    "curl/8.9.1": 8,
}

# First octets of each country's networks; invented but stable.
IP_BLOCKS = {
    country: tuple(11 + (index * 10 + step) % 200 for step in range(10)) for index, country in enumerate(COUNTRIES)
}
CARD_BINS_PER_COUNTRY = 24
