# SPDX-License-Identifier: Apache-2.0
"""Signs or verifies with model-signing 1.1.1: reads one JSON object, does what it says, prints what came of it."""

import json
import sys
from pathlib import Path

from model_signing import hashing, signing, verifying


def main() -> None:
    asked = json.load(sys.stdin)
    try:
        if asked["do"] == "sign":
            sign(asked)
        else:
            verify(asked)
    except Exception as exc:
        print(json.dumps({"done": False, "why": str(exc)}))
    else:
        print(json.dumps({"done": True}))


def sign(asked: dict[str, str]) -> None:
    config = signing.Config()
    if "certificate" in asked:
        config.use_certificate_signer(
            private_key=asked["private"],
            signing_certificate=asked["certificate"],
            certificate_chain=[asked["root"]],
        )
    else:
        config.use_elliptic_key_signer(private_key=asked["private"])
    ignored = [Path(asked["signature"])]
    hashed = hashing.Config().set_ignored_paths(paths=ignored, ignore_git_paths=True)
    config.set_hashing_config(hashed).sign(asked["model"], asked["signature"])


def verify(asked: dict[str, str]) -> None:
    config = verifying.Config()
    if "root" in asked:
        config.use_certificate_verifier(certificate_chain=[asked["root"]])
    else:
        config.use_elliptic_key_verifier(public_key=asked["public"])
    config.verify(asked["model"], asked["signature"])


main()
