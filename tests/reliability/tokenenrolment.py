# SPDX-License-Identifier: Apache-2.0
"""Makes a wallet whose key is in a token: `tokenenrolment.py WALLET ORGANISATION MODULE`, the PIN in the environment.

The certificate is issued by the CA of the organisation whose folder is given. A process of its own, because the library
reads once per process where tokens are.
"""

import os
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.identities.credential import Credential, load_certificate
from gateway.identities.wallets import open_wallet
from network.material import _Authority, _subject

folder, organisation, module = (Path(each) for each in sys.argv[1:])
domain = organisation.name
authority = _Authority.load(organisation / "ca", f"ca.{domain}")
pin = os.environ["PEDIGREE_WALLET_PASSPHRASE"].encode()
with closing(open_wallet(folder, lambda: pin, make="hsm", module=module, token="lab")) as wallet:
    key = wallet.new_key("p256")
    begin = datetime.now(UTC) - timedelta(minutes=5)
    pem = authority.issue(_subject(f"token@{domain}", domain, "client"), key, begin, (), tls=False)
    wallet.put("gateway", Credential("LabMSP", load_certificate(pem, "token"), key, (authority.certificate,)))
