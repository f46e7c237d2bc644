# SPDX-License-Identifier: Apache-2.0
"""Why the data gateway gives nothing out: each reason is a class with a code, and says what would be right."""

from gateway.services.failures import Category, PortError


class Undelivered(PortError):
    """Nothing is given out."""

    code = "undelivered"
    category = Category.FORBIDDEN


class StatementInvalid(Undelivered):
    """It is not a statement, or its signature is not what it says."""

    code = "fetch-statement-invalid"
    category = Category.UNREADABLE


class StatementElsewhere(Undelivered):
    """The statement is for another organisation's gateway, or for another channel."""

    code = "fetch-statement-elsewhere"


class StatementStale(Undelivered):
    """The statement was made too long ago, or is of a time that has not come."""

    code = "fetch-statement-stale"


class StatementRepeated(Undelivered):
    """The statement was taken before."""

    code = "fetch-statement-repeated"
    category = Category.CONFLICT


class NotTheGrantee(Undelivered):
    """Somebody else than the grantee asks."""

    code = "fetch-by-another"


class AttemptUnknown(Undelivered):
    """This organisation's ledger has no such attempt, or has not come to it yet."""

    code = "attempt-unknown"
    category = Category.NOT_FOUND
    retryable = True


class AttemptDenied(Undelivered):
    """The ledger has the attempt as denied."""

    code = "attempt-denied"


class AttemptElsewhere(Undelivered):
    """The attempt is under the grant of another owner."""

    code = "attempt-elsewhere"


class AttemptForProcessing(Undelivered):
    """The attempt is not one to download."""

    code = "attempt-not-to-download"


class AttemptStale(Undelivered):
    """The attempt was made too long ago."""

    code = "attempt-stale"


class AttemptUsed(Undelivered):
    """What the attempt allowed was given out."""

    code = "attempt-used"
    category = Category.CONFLICT


class AttemptBegunTooOften(Undelivered):
    """As many deliveries were begun under the attempt as may be, and none of them was read to its end."""

    code = "attempt-begun-too-often"
    category = Category.CONFLICT


class GrantStopped(Undelivered):
    """The grant was suspended or ended after the attempt."""

    code = "grant-stopped"


class DataStopped(Undelivered):
    """Since the attempt the data was quarantined, or subjects of it took back their consent."""

    code = "data-stopped"


class ReadDenied(Undelivered):
    """A read under a batched grant was denied, and is kept as denied."""

    code = "read-denied"


class ReadingEnded(Undelivered):
    """So many reads under one attempt were denied that no more of them are kept."""

    code = "reading-ended"


class KeyDiffers(Undelivered):
    """The data key is to go to another key than the grant names, or to none that can be used."""

    code = "recipient-key-differs"


class NotPublished(Undelivered):
    """The owner has not published the data."""

    code = "not-published"
    category = Category.NOT_FOUND


class DeliveryUnknown(Undelivered):
    """There is no such delivery, or its time is over."""

    code = "delivery-unknown"
    category = Category.NOT_FOUND


class DeliveryReplaced(Undelivered):
    """Another delivery was begun since under the same attempt."""

    code = "delivery-replaced"
    category = Category.CONFLICT
