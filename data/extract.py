"""Writes the source tables that come out of two Python packages: `python extract.py DIR`.

Needs `phonenumbers` (Google's data: operators, portability, time zones by prefix) and `tzdata` (IANA's rules).
Then `cargo xtask data --from DIR` builds the compact tables from these and the other sources.
"""

import csv
import importlib.resources
import pathlib
import struct
import sys

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata
from phonenumbers.carrierdata import CARRIER_DATA
from phonenumbers.tzdata import TIMEZONE_DATA

ZONEINFO = importlib.resources.files("tzdata") / "zoneinfo"
# The years that listed changes are taken from: 2026 to 2035.
FROM, UNTIL = 1767225600, 2082758400
# Countries of numbering plans that IANA's zone.tab does not list.
MORE_COUNTRIES = {"AC": "Atlantic/St_Helena", "TA": "Atlantic/St_Helena", "XK": "Europe/Belgrade"}


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(sorted(rows))


def operators():
    """English names, else the first language that has one."""
    for prefix, names in CARRIER_DATA.items():
        yield prefix, names.get("en") or next(iter(names.values()))


def portable():
    for regions in COUNTRY_CODE_TO_REGION_CODE.values():
        for region in regions:
            metadata = PhoneMetadata.metadata_for_region(region, None)
            if metadata and metadata.mobile_number_portable_region:
                yield (region,)


def rule(zone):
    """The POSIX rule at the end of a compiled zone (RFC 9636): what holds after the listed changes."""
    return (ZONEINFO / zone).read_bytes().rstrip(b"\n").rsplit(b"\n", 1)[1].decode()


def changes(zone):
    """Changes that no yearly rule says (Ramadan, a law to come), as `second=minutes ahead of UTC`.

    The last change before FROM is there, too: it says what holds until the first. From the last on, the rule holds.
    """
    data = (ZONEINFO / zone).read_bytes()

    def counts(at):
        return struct.unpack(">6L", data[at + 20 : at + 44])

    isut, isstd, leap, times, types, chars = counts(0)
    second = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    _, _, _, times, types, _ = counts(second)
    at = second + 44
    instants = struct.unpack(f">{times}q", data[at : at + 8 * times])
    kinds = data[at + 8 * times : at + 9 * times]
    offset = [struct.unpack(">l", data[at + 9 * times + 6 * n :][:4])[0] // 60 for n in range(types)]
    known = [(instant, offset[kind]) for instant, kind in zip(instants, kinds)]
    later = [change for change in known if FROM <= change[0] < UNTIL]
    listed = [change for change in known if change[0] < FROM][-1:] + later if later else []
    return " ".join(f"{instant}={minutes}" for instant, minutes in listed)


def country_zones():
    for line in (ZONEINFO / "zone.tab").read_text().splitlines():
        if not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            yield country, zone
    yield from MORE_COUNTRIES.items()


def links():
    """Old names of zones, and the names of today."""
    lines = (ZONEINFO / "tzdata.zi").read_text().splitlines()
    return {line.split()[2]: line.split()[1] for line in lines if line.startswith("L ")}


def prefix_zones(known, today):
    for prefix, zones in TIMEZONE_DATA.items():
        names = (zone if zone in known else today.get(zone, zone) for zone in zones)
        yield prefix, "&".join(sorted(set(names)))


def main(target):
    zones = set(country_zones())
    write(target / "numbers/libphonenumber_carrier_prefixes.csv", ["prefix", "carrier_en"], operators())
    write(target / "numbers/portable.csv", ["country"], portable())
    write(target / "time/zones.csv", ["country", "zone", "rule", "changes"], ((c, z, rule(z), changes(z)) for c, z in zones))
    known = {zone for _, zone in zones}
    write(target / "time/prefix_zones.csv", ["prefix", "zones"], prefix_zones(known, links()))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
