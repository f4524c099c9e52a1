"""`loadkeeper keys FILE`: makes an installer's key, and prints its public half for the document."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from controller import trust
from controller.commands.output import FINE, NO, add_json_option, answer_json, complain, say


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("keys", description=__doc__)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="for the secret half: keep it off the gateway"
    )
    parser.add_argument("--id", default="installer", metavar="ID", help="of the [[key]] entry")
    parser.add_argument(
        "--public", action="store_true", help="only print the public half of a key that exists"
    )
    add_json_option(parser)


def run(args: Namespace) -> int:
    try:
        key = trust.read_key(args.file) if args.public else trust.make_key(args.file)
    except FileExistsError:
        complain(f"{args.file} exists already: a key is never overwritten (--public prints it)")
        return NO
    except (OSError, trust.KeyFileError) as error:
        complain(f"loadkeeper keys: {error}")
        return NO
    public = trust.public_text(key)
    if args.json:
        entry = {"id": args.id, "role": "installer", "ed25519": public}
        answer_json({"file": str(args.file), "key": entry})
    else:
        say(f'[[key]]\nid = "{args.id}"\nrole = "installer"\ned25519 = "{public}"')
    return FINE
