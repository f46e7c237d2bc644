# SPDX-License-Identifier: Apache-2.0
"""An organisation's identities: enrolled with its Fabric CA, kept in a wallet, renewed in time, checked for revocation.

`ca` speaks to a Fabric CA; `wallets` opens a wallet of one of three kinds (PEM files, an encrypted store, a PKCS#11
token); `renewal` keeps the identity of a running gateway fresh; `revocation` checks certificates against the CA's list.
"""
