# SPDX-License-Identifier: Apache-2.0
"""Files that somebody made to harm whoever reads them: MSP folders, join packages, backups."""
