# SPDX-License-Identifier: Apache-2.0
"""`pedigree identity`: the gateway's certificate and keys, and a consortium member's certificate authority."""
