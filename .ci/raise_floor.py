"""Fails if the coverage has risen a whole point above its floor: `raise_floor.py PERCENT`. So the floor follows it."""

from __future__ import annotations

import sys
from configparser import ConfigParser


def main(measured: float) -> int:
    setup = ConfigParser()
    setup.read("setup.cfg")
    floor = float(setup["coverage:report"]["fail_under"])
    print(f"{measured} % covered, floor {floor} %")
    if measured >= floor + 1:
        print(f"raise fail_under in setup.cfg to {measured - 0.5:.1f}: the floor never falls")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
