"""Writes worklists.yaml for the counted tabs of all users, and says of each tab how it is counted:

    python3 -m headroom_worklist -c /etc/tryton/trytond.conf -d shop

The file is that of `file` in `[headroom_worklist]`, or the one after -o. It goes to stdout what lists each user's tab is made
of, or why trytond counts it; --json gives programs the same.
"""
import argparse
import json

from trytond.config import config


def main():
    parser = argparse.ArgumentParser(prog="headroom_worklist", description="Gathers the counted tabs of all users.")
    parser.add_argument("-c", "--config", metavar="FILE", action="append", default=[], help="trytond.conf")
    parser.add_argument("-d", "--database", metavar="NAME", required=True)
    parser.add_argument("-o", "--output", metavar="FILE", help="in place of file in [headroom_worklist]")
    parser.add_argument("--json", action="store_true", help="what is told, for programs")
    options = parser.parse_args()
    config.update_etc(options.config or None)
    explained = gather(options.database, options.output)
    if options.json:
        print(json.dumps(explained))
        return
    for one in explained:
        how = " ".join("%+d*%s" % pair for pair in one["lists"]) if one["lists"] is not None else one["reason"]
        print("\t".join((one["user"], one["tab"], one["model"], how)))


def gather(database, output):
    from trytond.pool import Pool
    from trytond.transaction import Transaction
    if output:
        if not config.has_section("headroom_worklist"):
            config.add_section("headroom_worklist")
        config.set("headroom_worklist", "file", output)
    pool = Pool(database)
    pool.init()
    with Transaction().start(database, 0, readonly=True):
        return pool.get("headroom.worklist").gather()


if __name__ == "__main__":
    main()
